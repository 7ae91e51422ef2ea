#pragma GCC optimize("O3", "no-trapping-math")

#include "lib/ops/kernels/recurrent_activations.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "lib/base/text.h"
#include "lib/base/vectorize.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

ROUNDEL_VECTORIZE void Tanh(float, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = TanhFloat(x[i]);
}
ROUNDEL_VECTORIZE void Sigmoid(float, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = LogisticFloat(x[i]);
}
ROUNDEL_VECTORIZE void ScaledTanh(float a, float b, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = a * TanhFloat(b * x[i]);
}
void Relu(float, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = std::max(x[i], 0.0f);
}
void Affine(float a, float b, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = a * x[i] + b;
}
void LeakyRelu(float a, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] < 0 ? a * x[i] : x[i];
}
void ThresholdedRelu(float a, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] > a ? x[i] : 0;
}
void HardSigmoid(float a, float b, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = std::clamp(a * x[i] + b, 0.0f, 1.0f);
}
void Elu(float a, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] < 0 ? a * std::expm1(x[i]) : x[i];
}
void Softsign(float, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] / (1 + std::fabs(x[i]));
}
void Softplus(float, float, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = std::log1p(std::exp(x[i]));
}

// Default alpha and beta; nullopt if the function has no such parameter (ONNX RNN,
// "activation_alpha").
struct Row {
  const char* name;
  void (*function)(float, float, float*, int64_t);
  std::optional<float> alpha, beta;
};
const Row kRows[] = {
    {"tanh", Tanh, {}, {}},
    {"sigmoid", Sigmoid, {}, {}},
    {"relu", Relu, {}, {}},
    {"affine", Affine, 1.0f, 0.0f},
    {"leakyrelu", LeakyRelu, 0.01f, {}},
    {"thresholdedrelu", ThresholdedRelu, 1.0f, {}},
    {"scaledtanh", ScaledTanh, 1.0f, 1.0f},
    {"hardsigmoid", HardSigmoid, 0.2f, 0.5f},
    {"elu", Elu, 1.0f, {}},
    {"softsign", Softsign, {}, {}},
    {"softplus", Softplus, {}, {}},
};

const Row* FindRow(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Row& row : kRows)
    if (name == row.name) return &row;
  return nullptr;
}

}  // namespace

Result<Activation> Activation::Make(const std::string& name, float alpha, float beta) {
  const Row* row = FindRow(name);
  if (!row) return ModelError(StrCat("there is no activation '", name, "'"));
  Activation activation;
  activation.function_ = row->function;
  activation.alpha_ = alpha;
  activation.beta_ = beta;
  return activation;
}

Result<std::vector<Activation>> ReadActivations(const graph::Node& node, int64_t directions,
                                                const std::vector<std::string>& defaults) {
  std::vector<std::string> names;
  if (const graph::Attribute* attribute = node.FindAttribute("activations"))
    if (const auto* given = std::get_if<std::vector<std::string>>(&attribute->value))
      names = *given;
  if (names.empty())
    for (int64_t d = 0; d < directions; ++d)
      names.insert(names.end(), defaults.begin(), defaults.end());
  if (names.size() != defaults.size() * static_cast<size_t>(directions))
    return ModelError(StrCat(names.size(), " activations for ", directions, " directions"));
  const std::vector<float> alphas = node.Floats("activation_alpha");
  const std::vector<float> betas = node.Floats("activation_beta");
  std::vector<Activation> result;
  size_t next_alpha = 0, next_beta = 0;
  for (const std::string& name : names) {
    const Row* row = FindRow(name);
    std::optional<float> alpha, beta;
    if (row) alpha = row->alpha, beta = row->beta;
    if (alpha && next_alpha < alphas.size()) alpha = alphas[next_alpha++];
    if (beta && next_beta < betas.size()) beta = betas[next_beta++];
    ASSIGN_OR_RETURN(Activation activation,
                     Activation::Make(name, alpha.value_or(0), beta.value_or(0)));
    result.push_back(activation);
  }
  return result;
}

}  // namespace roundel::engine
