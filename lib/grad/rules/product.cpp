// Matrix products: dA = dY B^T, dB = A^T dY, summed over the axes along which an operand was broadcast.

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

constexpr const char* kContrib = "com.microsoft";
constexpr int64_t kMaxIdentity = 1 << 14;  // 1 GiB

// a' b' with transposition of the last two axes.
std::string Product(Emitter& emit, const std::string& a, bool trans_a, const std::string& b,
                    bool trans_b, float alpha = 1) {
  Emitter::Attributes attributes;
  if (trans_a) attributes.emplace_back("transA", int64_t{1});
  if (trans_b) attributes.emplace_back("transB", int64_t{1});
  if (alpha != 1) attributes.emplace_back("alpha", alpha);
  if (attributes.empty()) return emit.Op("MatMul", {a, b});
  return emit.Op("FusedMatMul", {a, b}, attributes, kContrib);
}

// y = alpha a' b', leading axes broadcast; a' and b' may be transposed.
struct BatchedProduct {
  bool trans_a = false, trans_b = false;
  float alpha = 1;

  std::string GradientA(Emitter& emit) const {
    const std::string &a = emit.input(0), &b = emit.input(1);
    const std::string da = trans_a ? Product(emit, b, trans_b, emit.dy(), true, alpha)
                                   : Product(emit, emit.dy(), false, b, !trans_b, alpha);
    return emit.Rank(b) == 2 ? da : emit.SumTo(da, a);
  }

  std::string GradientB(Emitter& emit) const {
    const std::string &a = emit.input(0), &b = emit.input(1);
    if (emit.Rank(b) == 2 && !trans_a) {  // all rows of a are one matrix
      const std::string rows = emit.Op("FlattenRows", {a}, {}, "roundel");
      const std::string dy = emit.Op("FlattenRows", {emit.dy()}, {}, "roundel");
      return trans_b ? Product(emit, dy, true, rows, false, alpha)
                     : Product(emit, rows, true, dy, false, alpha);
    }
    return emit.SumTo(trans_b ? Product(emit, emit.dy(), true, a, trans_a, alpha)
                              : Product(emit, a, !trans_a, emit.dy(), false, alpha),
                      b);
  }

  // A vector has no rows to transpose.
  Status Emit(Emitter& emit) const {
    const auto rank_a = emit.Rank(emit.input(0)), rank_b = emit.Rank(emit.input(1));
    if (rank_b == 2 || (rank_a && *rank_a >= 2 && rank_b && *rank_b >= 2)) {
      if (emit.wants(0)) emit.Add(0, GradientA(emit));
      if (emit.wants(1)) emit.Add(1, GradientB(emit));
      return OkStatus();
    }
    if (trans_a || trans_b || alpha != 1)
      return ModelError("the ranks of its operands are not known");
    const std::string &a = emit.input(0), &b = emit.input(1);
    if (emit.wants(0)) emit.Add(0, emit.Own("MatMulGradA", {emit.dy(), b, a}));
    if (emit.wants(1)) emit.Add(1, emit.Own("MatMulGradB", {emit.dy(), a, b}));
    return OkStatus();
  }
};

Status MatMul(Emitter& emit) { return BatchedProduct{}.Emit(emit); }

Status FusedMatMul(Emitter& emit) {
  const graph::Node& node = emit.node();
  const BatchedProduct product{node.Int("transA", 0) != 0, node.Int("transB", 0) != 0,
                               node.Float("alpha", 1)};
  return product.Emit(emit);
}

// y = alpha a' b' + beta c
Status Gemm(Emitter& emit) {
  const graph::Node& node = emit.node();
  const bool trans_a = node.Int("transA", 0) != 0, trans_b = node.Int("transB", 0) != 0;
  const float alpha = node.Float("alpha", 1), beta = node.Float("beta", 1);
  const std::string &a = emit.input(0), &b = emit.input(1), &dy = emit.dy();
  if (emit.wants(0))
    emit.Add(0, trans_a ? Product(emit, b, trans_b, dy, true, alpha)
                        : Product(emit, dy, false, b, !trans_b, alpha));
  if (emit.wants(1))
    emit.Add(1, trans_b ? Product(emit, dy, true, a, trans_a, alpha)
                        : Product(emit, a, !trans_a, dy, false, alpha));
  if (emit.wants(2)) {
    const std::string sum = emit.SumTo(dy, emit.input(2));
    emit.Add(2, beta == 1 ? sum : emit.Op("Mul", {sum, emit.Constant(beta)}));
  }
  return OkStatus();
}

// y = a W + bias with W in blocks of codes, which the same operator gives as the product of the
// identity: constant, so that it is computed once.
Status BlockProduct(Emitter& emit) {
  const graph::Node& node = emit.node();
  if (emit.wants(0)) {
    const int64_t k = node.Int("K", 0);
    if (k < 1 || k > kMaxIdentity) return ModelError(StrCat("K is ", k));
    Tensor identity = Tensor::Zeros(DType::kFloat, {k, k});
    for (int64_t i = 0; i < k; ++i) identity.mutable_data<float>()[i * (k + 1)] = 1;
    Emitter::Attributes attributes;
    for (const graph::Attribute& attribute : node.attributes)
      if (attribute.name != "accuracy_level")
        attributes.emplace_back(attribute.name, attribute.value);
    std::vector<std::string> inputs = node.inputs;
    inputs[0] = emit.Constant("identity", std::move(identity));
    if (inputs.size() > 5) inputs.resize(5);
    const std::string w = emit.Op(node.op_type, inputs, attributes, node.domain);
    emit.Add(0, Product(emit, emit.dy(), false, w, true));
  }
  if (emit.wants(5)) emit.Add(5, emit.SumTo(emit.dy(), emit.input(5)));
  return OkStatus();
}

std::string WhyNotFused(const graph::Model&, const graph::Node& node) {
  return node.Int("transBatchA", 0) != 0 || node.Int("transBatchB", 0) != 0
             ? "FusedMatMul with transposed batches has no gradient rule"
             : "";
}

}  // namespace

std::vector<RuleRow> ProductRules() {
  return {
      {"FusedMatMul", kContrib, kFirstTwo, &FusedMatMul, &WhyNotFused},
      {"Gemm", "", kFirstThree, &Gemm},
      {"MatMul", "", kFirstTwo, &MatMul},
      {"MatMulNBits", kContrib, Inputs{33}, &BlockProduct},
  };
}

}  // namespace roundel::grad
