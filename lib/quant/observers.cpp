#include "lib/quant/observers.h"

#include "lib/base/text.h"
#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

struct Method {
  const char* name;
  std::unique_ptr<Observer> (*make)(const MethodOptions&);
  bool weights_only = false;
};
constexpr Method kMethods[] = {
#define ROUNDEL_METHOD(name, make, weights_only) {#name, make, weights_only},
#include "lib/quant/observers/methods.def"
#undef ROUNDEL_METHOD
};

Status CheckOptions(const MethodOptions& options) {
  if (options.percentile != -1 && !(options.percentile > 50 && options.percentile <= 100))
    return UsageError(StrCat("percentile ", options.percentile, " is not in (50, 100]"));
  for (const double tail : {options.lower_tail, options.upper_tail})
    if (tail != -1 && !(tail >= 0 && tail < 50))
      return UsageError(StrCat("a tail of ", tail, " percent is not in [0, 50)"));
  if (!(options.averaging > 0 && options.averaging <= 1))
    return UsageError(StrCat("averaging ", options.averaging, " is not in (0, 1]"));
  if (!(options.gamma >= 0 && options.gamma <= 1e6))
    return UsageError(StrCat("gamma ", options.gamma, " is not in [0, 1e6]"));
  if (options.bins < 128 || options.bins > 65536)
    return UsageError(StrCat(options.bins, " bins are not in [128, 65536]"));
  return OkStatus();
}

}  // namespace

std::vector<std::string> ObserverMethods() {
  std::vector<std::string> names;
  for (const Method& method : kMethods)
    if (!method.weights_only) names.emplace_back(method.name);
  return names;
}

std::vector<std::string> WeightMethods() {
  std::vector<std::string> names;
  for (const Method& method : kMethods)
    if (!method.make({})->needs().samples) names.emplace_back(method.name);
  return names;
}

Result<std::unique_ptr<Observer>> MakeObserver(const std::string& method,
                                               const MethodOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  for (const Method& known : kMethods) {
    if (method != known.name) continue;
    auto observer = known.make(options);
    observer->name_ = known.name;
    return observer;
  }
  const std::string nearest = NearestName(method, ObserverMethods());
  return UsageError(StrCat("unknown calibration method '", method, "'",
                           nearest.empty() ? "; known: " + Join(ObserverMethods())
                                           : ", did you mean '" + nearest + "'?"));
}

Evidence EvidenceOf(const ValueStatistics& statistics, StatisticsNeeds needs) {
  Evidence evidence{.seen = statistics.seen()};
  if (needs.histogram) evidence.values = Distribution::Of(statistics);
  if (needs.samples) evidence.samples = statistics.samples();
  return evidence;
}

}  // namespace roundel::quant
