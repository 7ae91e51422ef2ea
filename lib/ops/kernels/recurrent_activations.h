#pragma once
// The activation functions of RNN, GRU and LSTM, over whole vectors.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

class Activation {
 public:
  // kModel if there is no function of that name. `alpha` and `beta` are used if the function has
  // them.
  static Result<Activation> Make(const std::string& name, float alpha, float beta);
  // x[i] = f(x[i])
  void Apply(float* x, int64_t n) const { function_(alpha_, beta_, x, n); }

 private:
  using Function = void (*)(float alpha, float beta, float* x, int64_t n);
  Function function_ = nullptr;
  float alpha_ = 0, beta_ = 0;
};

// The functions of each direction in turn: `defaults` if the node names none; activation_alpha and
// activation_beta are consumed in order by the functions that have such a parameter.
Result<std::vector<Activation>> ReadActivations(const graph::Node& node, int64_t directions,
                                                const std::vector<std::string>& defaults);

}  // namespace roundel::engine
