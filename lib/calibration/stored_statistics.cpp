#include "lib/calibration/stored_statistics.h"

#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/calibration/input_means.h"
#include "lib/calibration/observe.h"
#include "lib/graph/text.h"

namespace roundel::calibration {
namespace {

constexpr char kAccept[] = " (stats_mismatch=accept uses them anyway)";

Status CheckOrigin(const Session& session, const quant::CalibrationStatistics& statistics,
                   const std::string& model_hash) {
  if (statistics.model_hash != model_hash)
    return DataError(
        StrCat("these statistics are of another model, or of this model after other passes (",
               statistics.model_hash, ", this one is ", model_hash,
               "): make them again with the same passes before calibrate", kAccept));
  const bool known = !session.preprocessing_hash.empty() && !statistics.preprocessing_hash.empty();
  if (known && statistics.preprocessing_hash != session.preprocessing_hash)
    return DataError(StrCat(
        "these statistics were made with another preprocessing than the data section describes",
        kAccept));
  return OkStatus();
}

Status CheckValues(const graph::Graph& graph, const quant::CalibrationStatistics& statistics,
                   const std::vector<std::string>& values, quant::StatisticsNeeds needs) {
  for (const auto& [value, stored] : statistics.values)
    if (!(stored.needs() == statistics.values.begin()->second.needs()))
      return DataError(StrCat("'", value, "' and '", statistics.values.begin()->first,
                              "' have different kinds of statistics"));
  for (const std::string& value : values) {
    const auto found = statistics.values.find(value);
    const bool in_body = !graph.Producer(value) && !graph.IsInput(value);
    if (found == statistics.values.end() && in_body) continue;  // no sample reached it
    if (found == statistics.values.end())
      return DataError(StrCat("the statistics have no value '", value,
                              "': they were made for another target or other excludes"));
    const quant::StatisticsNeeds& has = found->second.needs();
    if ((needs.histogram && !has.histogram) || (needs.samples && !has.samples))
      return DataError(StrCat("the statistics of '", value, "' have no ",
                              needs.histogram && !has.histogram ? "histogram" : "samples",
                              ", which this method needs"));
    if (found->second.count() == 0)
      return DataError(
          StrCat("value '", value, "' received no data when the statistics were made"));
  }
  return OkStatus();
}

Result<quant::CalibrationStatistics> ReadAll(const Session& session,
                                             const StatisticsSource& source) {
  if (!session.statistics_files.read) return UsageError("stats_in: no files can be read here");
  const std::string model_hash = ModelHash(session.model);
  std::vector<quant::CalibrationStatistics> parts;
  for (const std::string& path : source.stats_in) {
    ASSIGN_OR_RETURN(auto part, session.statistics_files.read(path));
    if (!source.accept_mismatch) {
      RETURN_IF_ERROR(CheckOrigin(session, part, model_hash).At(StrCat("'", path, "'")));
      if (!parts.empty() && part.preprocessing_hash != parts[0].preprocessing_hash)
        return DataError(StrCat("'", path, "' and '", source.stats_in[0],
                                "' were made with different preprocessing", kAccept));
    }
    parts.push_back(std::move(part));
  }
  auto merged = quant::CalibrationStatistics::Merge(std::move(parts));
  if (!merged.ok()) return std::move(merged).status().At("stats_in");
  return merged;
}

}  // namespace

std::string ModelHash(const graph::Model& model) {
  Hasher hasher;
  hasher.Add(graph::Print(*model.graph));
  for (const auto& [domain, version] : model.opset_imports) {
    hasher.Add(domain);
    hasher.AddNumber(static_cast<uint64_t>(version));
  }
  return hasher.Hex();
}

Result<quant::CalibrationStatistics> GatherStatistics(Session& session,
                                                      const std::vector<std::string>& values,
                                                      const StatisticsSource& source) {
  quant::CalibrationStatistics statistics;
  if (!source.stats_in.empty()) {
    ASSIGN_OR_RETURN(statistics, ReadAll(session, source));
    RETURN_IF_ERROR(CheckValues(*session.model.graph, statistics, values, source.needs));
    if (session.data == nullptr) session.data_hash = statistics.data_hash;
  } else {
    if (!session.data) return UsageError("calibrate needs data: set 'path' in the section 'data'");
    const bool keeps = !source.stats_out.empty();
    const ObservationOptions options = {
        .needs = keeps ? quant::StatisticsNeeds{true, true, true} : source.needs,
        .scores = source.scores,
        .input_means = keeps || session.expects_input_means,
        .samples = source.samples};
    ASSIGN_OR_RETURN(statistics, Observe(session, values, options));
    statistics.preprocessing_hash = session.preprocessing_hash;
    statistics.data_hash = session.data_hash;
    if (keeps) statistics.model_hash = ModelHash(session.model);
  }
  if (!source.stats_in.empty() || !source.stats_out.empty() || session.expects_input_means)
    AddInputMeans(statistics.input_means, &session);
  if (source.stats_out.empty()) return statistics;
  if (!session.statistics_files.write) return UsageError("stats_out: no files can be written here");
  RETURN_IF_ERROR(session.statistics_files.write(source.stats_out, statistics));
  return statistics;
}

}  // namespace roundel::calibration
