#include "lib/quant/observers.h"

#include "lib/base/text.h"
#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

struct Method {
  const char* name;
  std::unique_ptr<Observer> (*make)(const ObserverOptions&);
};
constexpr Method kMethods[] = {
    {"min_max", MakeMinMax},
    {"percentile", MakePercentile},
};

}  // namespace

std::vector<std::string> ObserverMethods() {
  std::vector<std::string> names;
  for (const Method& method : kMethods) names.emplace_back(method.name);
  return names;
}

Result<std::unique_ptr<Observer>> MakeObserver(const std::string& method,
                                               const ObserverOptions& options) {
  if (!(options.percentile > 50 && options.percentile <= 100))
    return UsageError(
        StrCat("percentile ", options.percentile, " is not above 50 and at most 100"));
  for (const Method& known : kMethods)
    if (method == known.name) return known.make(options);
  const std::string nearest = NearestName(method, ObserverMethods());
  return UsageError(StrCat("unknown calibration method '", method, "'",
                           nearest.empty() ? "; known: " + Join(ObserverMethods())
                                           : ", did you mean '" + nearest + "'?"));
}

}  // namespace roundel::quant
