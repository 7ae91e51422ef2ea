#pragma once
// What flows through the float model: one sweep over the data with observers on the values that need a
// range, and the mean of every layer's input.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/quant/observers.h"
#include "passes/pass.h"

namespace roundel::passes {

struct ObservationOptions {
  std::string method;  // of the observers
  quant::ObserverOptions observer;
  int64_t samples = 0;  // 0: all
};

struct Observation {
  std::map<std::string, std::unique_ptr<quant::Observer>> observers;  // by value
  int64_t samples = 0;
};

// Fills session.input_means, too, if they are wanted. Memory does not grow with the number of samples; the result does not
// depend on the number of threads. kData for NaN or infinity (which value, which sample) and for
// values that received nothing.
Result<Observation> Observe(Session& session, const std::vector<std::string>& values,
                            const ObservationOptions& options);

}  // namespace roundel::passes
