#include "lib/report/details.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "lib/base/text.h"
#include "lib/report/details_json.h"
#include "lib/report/report.h"

namespace roundel::report {
namespace {

using Json = nlohmann::ordered_json;

// Six digits are more than a picture shows. Non-finite numbers become null.
Json Rounded(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0.0;
  const double unit = std::pow(10.0, std::floor(std::log10(std::fabs(value))) - 5);
  return Json::parse(StrFormat("%.6g", std::round(value / unit) * unit), nullptr, false);
}

Json Rounded(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(Rounded(value));
  return list;
}

// The noise relative to the signal.
double Noise(std::optional<double> sqnr) { return sqnr ? std::pow(10.0, -*sqnr / 10) : 0; }

}  // namespace

Json ToJson(const LayerFacts& layer) {
  Json json = {{"node", layer.node},   {"name", layer.name},     {"op_type", layer.op_type},
               {"input", layer.input}, {"output", layer.output}, {"weights", layer.weights},
               {"bytes", layer.bytes}};
  if (!layer.grid.empty()) {
    json["bits"] = layer.bits;
    json["grid"] = layer.grid;
    json["granularity"] = layer.granularity;
    json["scales"] = layer.scales;
  }
  if (!layer.input_grid.empty()) json["input_grid"] = layer.input_grid;
  if (layer.weight_sqnr) json["weight_sqnr_db"] = Rounded(*layer.weight_sqnr);
  return json;
}

Json ToJson(const ValueError& error) {
  Json json = {{"value", error.value},
               {"op_type", error.op_type},
               {"position", error.position},
               {"sqnr_db", Rounded(error.sqnr)}};
  if (error.joins) json["joins"] = true;
  return json;
}

Json ToJson(const RangeFacts& range) {
  Json json = {{"values", range.values},
               {"grid", range.grid},
               {"method", range.method},
               {"low", Rounded(range.low)},
               {"high", Rounded(range.high)},
               {"seen_low", Rounded(range.seen_low)},
               {"seen_high", Rounded(range.seen_high)},
               {"clipped_low", Rounded(range.clipped_low)},
               {"clipped_high", Rounded(range.clipped_high)}};
  if (range.sqnr) json["sqnr_db"] = Rounded(*range.sqnr);
  if (range.histogram.empty()) return json;
  json["histogram"] = Rounded(range.histogram);
  if (range.histogram_samples > 0) json["histogram_samples"] = range.histogram_samples;
  return json;
}

Json ToJson(const ChannelRanges& ranges) {
  return {{"node", ranges.node},
          {"channels", ranges.channels},
          {"before", Rounded(ranges.before)},
          {"after", Rounded(ranges.after)}};
}

std::vector<double> FiveNumbers(std::vector<double> values) {
  std::erase_if(values, [](double value) { return !(value > 0); });
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  std::vector<double> numbers;
  for (size_t quarter = 0; quarter <= 4; ++quarter)
    numbers.push_back(values[(values.size() - 1) * quarter / 4]);
  return numbers;
}

void KeepWorstHistograms(Report* report, size_t count) {
  std::map<std::string_view, double> noise;  // by value
  for (const PassReport& pass : report->passes)
    for (const RangeFacts& range : pass.ranges)
      for (const std::string& value : range.values) noise[value] = Noise(range.sqnr);
  std::vector<std::pair<double, std::string_view>> worst;
  for (const LayerFacts& layer : report->layers)
    if (const auto input = noise.find(layer.input); input != noise.end())
      worst.emplace_back(-input->second - Noise(layer.weight_sqnr), layer.input);
  std::stable_sort(worst.begin(), worst.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::set<std::string_view> kept;
  for (const auto& [unused, value] : worst)
    if (kept.size() < count) kept.insert(value);
  for (PassReport& pass : report->passes)
    for (RangeFacts& range : pass.ranges)
      if (std::none_of(range.values.begin(), range.values.end(),
                       [&](const std::string& value) { return kept.contains(value); }))
        range.histogram.clear();
}

}  // namespace roundel::report
