#include "lib/io/statistics_json.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "lib/base/input_file.h"
#include "lib/base/text.h"
#include "lib/io/json_fields.h"

namespace roundel::io {
namespace {

using quant::CalibrationStatistics;
using quant::Histogram;
using quant::InputMean;
using quant::SampleRange;
using quant::StatisticsNeeds;
using quant::ValueStatistics;

constexpr char kFormat[] = "roundel.statistics";
constexpr int kVersion = 1;

// ---- writing

// Stretches of buckets without a gap: [[first, [count, ...]], ...].
Json HistogramJson(const Histogram& histogram) {
  Json runs = Json::array();
  bool open = false;
  for (uint32_t i = 0; i < Histogram::kBuckets; ++i) {
    const uint64_t count = histogram.count(i);
    if (count > 0 && !open) runs.push_back({i, Json::array()});
    if (count > 0) runs.back()[1].push_back(count);
    open = count > 0;
  }
  return runs;
}

Json ValueJson(const ValueStatistics& statistics) {
  const ValueStatistics::Totals totals = statistics.totals();
  Json json = {{"count", totals.count}, {"min", totals.seen.min}, {"max", totals.seen.max}};
  if (statistics.needs().histogram) {
    json["zeros"] = totals.zeros;
    if (statistics.needs().moments) {
      json["sum"] = totals.sum;
      json["sum_of_squares"] = totals.squares;
    }
    json["histogram"] = HistogramJson(statistics.histogram());
  }
  if (statistics.needs().samples) {
    json["sample_min"] = Json::array();
    json["sample_max"] = Json::array();
    for (const SampleRange& sample : statistics.samples()) {
      json["sample_min"].push_back(sample.min);
      json["sample_max"].push_back(sample.max);
    }
  }
  return json;
}

// One line per value: such files are compared and edited by hand.
std::string LinesOf(const Json& object) {
  std::string text = "{";
  for (const auto& [key, value] : object.items())
    text += StrCat(text.size() > 1 ? "," : "", "\n    ",
                   Json(key).dump(-1, ' ', false, Json::error_handler_t::replace), ": ",
                   value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return text + "\n  }";
}

// ---- reading

// Reads the keys of one object; keeps the first error.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) Fail("is not an object");
  }
  const Status& status() const { return status_; }
  bool Has(const char* key) const { return json_.is_object() && json_.contains(key); }

  std::string String(const char* key) {
    const Json* value = Find(key);
    if (value && !value->is_string()) Fail(StrCat("'", key, "' is not a text"));
    return value && value->is_string() ? value->get<std::string>() : "";
  }
  int64_t Count(const char* key) { return CountOf(Find(key), key); }
  double Number(const char* key) { return NumberOf(Find(key), key); }
  float Float(const char* key) { return FloatOf(Find(key), key); }

  std::vector<double> Numbers(const char* key) {
    std::vector<double> numbers;
    for (const Json& entry : Array(Find(key), key)) numbers.push_back(NumberOf(&entry, key));
    return numbers;
  }
  std::vector<float> Floats(const char* key) {
    std::vector<float> floats;
    for (const Json& entry : Array(Find(key), key)) floats.push_back(FloatOf(&entry, key));
    return floats;
  }
  std::vector<int64_t> Counts(const char* key) {
    std::vector<int64_t> counts;
    for (const Json& entry : Array(Find(key), key)) counts.push_back(CountOf(&entry, key));
    return counts;
  }
  const Json& Object(const char* key) {
    static const Json empty = Json::object();
    const Json* value = Find(key);
    if (value && !value->is_object()) Fail(StrCat("'", key, "' is not an object"));
    return value && value->is_object() ? *value : empty;
  }

  // The number of values in the buckets.
  int64_t ReadHistogram(Histogram* histogram) {
    int64_t total = 0;
    for (const Json& run : Array(Find("histogram"), "histogram")) {
      if (!run.is_array() || run.size() != 2) {
        Fail("a run of 'histogram' is not [first bucket, [counts]]");
        return 0;
      }
      int64_t bucket = CountOf(&run[0], "histogram");
      for (const Json& entry : Array(&run[1], "histogram")) {
        const int64_t count = CountOf(&entry, "histogram");
        if (bucket >= Histogram::kBuckets || count > kMost - total) {
          Fail("'histogram' goes beyond the last bucket, or holds too much");
          return 0;
        }
        histogram->Add(static_cast<uint32_t>(bucket++), static_cast<uint64_t>(count));
        total += count;
      }
    }
    return total;
  }

  void Fail(const std::string& what) {
    if (status_.ok()) status_ = DataError(StrCat(where_, what));
  }

 private:
  static constexpr int64_t kMost = int64_t{1} << 53;  // what a JSON number holds exactly

  const Json* Find(const char* key) {
    if (Has(key)) return &json_[key];
    Fail(StrCat("has no '", key, "'"));
    return nullptr;
  }
  const Json& Array(const Json* value, const char* key) {
    static const Json empty = Json::array();
    if (value && !value->is_array()) Fail(StrCat("'", key, "' is not a list"));
    return value && value->is_array() ? *value : empty;
  }
  int64_t CountOf(const Json* value, const char* key) {
    if (!value) return 0;
    if (value->is_number_unsigned() && value->get<uint64_t>() <= static_cast<uint64_t>(kMost))
      return value->get<int64_t>();
    Fail(StrCat("'", key, "' holds a value that is not a count"));
    return 0;
  }
  double NumberOf(const Json* value, const char* key) {
    if (!value) return 0;
    if (value->is_number() && std::isfinite(value->get<double>())) return value->get<double>();
    Fail(StrCat("'", key, "' holds a value that is not a number"));
    return 0;
  }
  float FloatOf(const Json* value, const char* key) {
    const double number = NumberOf(value, key);
    if (std::fabs(number) <= std::numeric_limits<float>::max()) return static_cast<float>(number);
    Fail(StrCat("'", key, "' is too large"));
    return 0;
  }

  const Json& json_;
  std::string where_;
  Status status_;
};

void ReadSamples(Reader& reader, ValueStatistics* statistics) {
  const std::vector<float> min = reader.Floats("sample_min"), max = reader.Floats("sample_max");
  if (min.size() != max.size()) return reader.Fail("sample_min and sample_max differ in length");
  for (size_t i = 0; i < min.size(); ++i) {
    if (!(min[i] <= max[i])) return reader.Fail("a sample's min is above its max");
    statistics->samples().push_back({min[i], max[i]});
  }
}

Result<ValueStatistics> ReadValue(const Json& json, const std::string& where) {
  Reader reader(json, where);
  const StatisticsNeeds needs{.histogram = reader.Has("histogram"),
                              .samples = reader.Has("sample_min"),
                              .moments = reader.Has("sum")};
  ValueStatistics::Totals totals{.count = reader.Count("count"),
                                 .seen = {reader.Float("min"), reader.Float("max")}};
  if (!(totals.seen.min <= totals.seen.max)) reader.Fail("min is above max");
  if (needs.histogram) totals.zeros = reader.Count("zeros");
  if (needs.moments) {
    totals.sum = reader.Number("sum");
    totals.squares = reader.Number("sum_of_squares");
  }
  RETURN_IF_ERROR(reader.status());
  ValueStatistics statistics = ValueStatistics::Restore(needs, totals);
  if (needs.histogram) {
    const int64_t counted = reader.ReadHistogram(&statistics.mutable_histogram());
    if (counted + totals.zeros != totals.count)
      reader.Fail(StrCat("'histogram' and 'zeros' hold ", counted + totals.zeros,
                         " values, but 'count' is ", totals.count));
  }
  if (needs.samples) ReadSamples(reader, &statistics);
  RETURN_IF_ERROR(reader.status());
  return statistics;
}

Result<InputMean> ReadMean(const Json& json, const std::string& where) {
  Reader reader(json, where);
  InputMean mean{reader.Numbers("mean"), reader.Counts("shape"), reader.Count("count")};
  constexpr int64_t kLargestDim = 1 << 24;
  const bool sound =
      mean.shape.size() >= 2 &&
      std::all_of(mean.shape.begin(), mean.shape.end(), [](int64_t d) { return d <= kLargestDim; });
  if (!sound) reader.Fail("'shape' has less than two axes, or one that is too long");
  RETURN_IF_ERROR(reader.status());
  return mean;
}

}  // namespace

std::string StatisticsJson(const CalibrationStatistics& statistics) {
  Json values = Json::object(), means = Json::object();
  for (const auto& [name, value] : statistics.values) values[name] = ValueJson(value);
  for (const auto& [name, mean] : statistics.input_means)
    means[name] = {{"count", mean.count}, {"shape", mean.shape}, {"mean", mean.mean}};
  const auto text = [](const std::string& s) { return Json(s).dump(); };
  return StrCat("{\n  \"format\": ", text(kFormat), ",\n  \"version\": ", kVersion,
                ",\n  \"model_hash\": ", text(statistics.model_hash),
                ",\n  \"preprocessing_hash\": ", text(statistics.preprocessing_hash),
                ",\n  \"data_hash\": ", text(statistics.data_hash),
                ",\n  \"samples\": ", statistics.samples, ",\n  \"values\": ", LinesOf(values),
                ",\n  \"input_means\": ", LinesOf(means), "\n}\n");
}

Result<CalibrationStatistics> ParseStatistics(const std::string& text, const std::string& source) {
  const std::string file = StrCat("'", Printable(source), "' ");
  if (NestedTooDeep(text))
    return DataError(StrCat(file, "is nested deeper than ", kMaxNesting, " levels"));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return DataError(file + "is not JSON");
  Reader reader(json, file);
  const std::string format = reader.String("format");
  RETURN_IF_ERROR(reader.status());
  if (format != kFormat) return DataError(file + "is not a file of calibration statistics");
  if (const int64_t version = reader.Count("version"); reader.status().ok() && version != kVersion)
    return DataError(
        StrCat(file, "has version ", version, ", this program reads version ", kVersion));
  CalibrationStatistics statistics{.model_hash = reader.String("model_hash"),
                                   .preprocessing_hash = reader.String("preprocessing_hash"),
                                   .data_hash = reader.String("data_hash"),
                                   .samples = reader.Count("samples")};
  for (const auto& [name, value] : reader.Object("values").items()) {
    ASSIGN_OR_RETURN(ValueStatistics one,
                     ReadValue(value, StrCat(file, "value '", Printable(name), "': ")));
    statistics.values.emplace(name, std::move(one));
  }
  for (const auto& [name, value] : reader.Object("input_means").items()) {
    ASSIGN_OR_RETURN(statistics.input_means[name],
                     ReadMean(value, StrCat(file, "input mean '", Printable(name), "': ")));
  }
  RETURN_IF_ERROR(reader.status());
  return statistics;
}

Result<CalibrationStatistics> ReadStatistics(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadInputText(path, ErrorKind::kData));
  return ParseStatistics(text, path);
}

}  // namespace roundel::io
