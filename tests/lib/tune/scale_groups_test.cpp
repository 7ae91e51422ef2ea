// Oracle: the function of the model, which random scales of all groups must leave as it is; and the
// groups that the architectures have.

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/base/random.h"
#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "lib/tune/channel_scales.h"
#include "lib/tune/scale_groups.h"
#include "tests/support/catch.h"

namespace roundel::tune {
namespace {

// Two query heads read one value head; the norm is a chain of nodes.
const char* const kDecoder = R"(opset 17
graph g (float32[2,5,16] x) => (float32[2,5,16] y) {
  float32[] two = {2}
  float32[] eps = {1e-5}
  sq = Pow(x, two)
  ms = ReduceMean<axes=[-1]>(sq)
  me = Add(ms, eps)
  rt = Sqrt(me)
  xn = Div(x, rt)
  float32[16] g1 = random(1)
  n1 = Mul(xn, g1)
  float32[16,16] wq = random(2)
  float32[16,8] wk = random(3)
  float32[16,8] wv = random(4)
  float32[8] bv = random(5)
  q = MatMul(n1, wq)
  k = MatMul(n1, wk)
  vm = MatMul(n1, wv)
  v = Add(vm, bv)
  int64[4] sq4 = {0, 0, 4, 4}
  int64[4] skv = {0, 0, 2, 4}
  qh0 = Reshape(q, sq4)
  qh = Transpose<perm=[0,2,1,3]>(qh0)
  kh0 = Reshape(k, skv)
  kh = Transpose<perm=[0,2,1,3]>(kh0)
  vh0 = Reshape(v, skv)
  vh = Transpose<perm=[0,2,1,3]>(vh0)
  int64[1] ax2 = {2}
  int64[5] rep = {2, 2, 2, 5, 4}
  int64[4] joined = {2, 4, 5, 4}
  k5 = Unsqueeze(kh, ax2)
  ke = Expand(k5, rep)
  kr = Reshape(ke, joined)
  v5 = Unsqueeze(vh, ax2)
  ve = Expand(v5, rep)
  vr = Reshape(ve, joined)
  kt = Transpose<perm=[0,1,3,2]>(kr)
  s = MatMul(qh, kt)
  p = Softmax(s)
  a = MatMul(p, vr)
  at = Transpose<perm=[0,2,1,3]>(a)
  int64[3] flat = {2, 5, 16}
  af = Reshape(at, flat)
  float32[16,16] wo = random(6)
  o = MatMul(af, wo)
  h = Add(x, o)
  float32[16] g2 = random(7)
  float32[16] b2 = random(8)
  n2 = LayerNormalization(h, g2, b2)
  float32[16,24] wg = random(9)
  float32[16,24] wu = random(10)
  float32[24,16] wd = random(11)
  gate = MatMul(n2, wg)
  sg = Sigmoid(gate)
  act = Mul(gate, sg)
  up = MatMul(n2, wu)
  m = Mul(act, up)
  d = MatMul(m, wd)
  y = Add(h, d)
})";

const char* const kConvolutions = R"(opset 17
graph g (float32[2,3,8,8] x) => (float32[2,5] y) {
  float32[8,3,3,3] w1 = random(1)
  float32[8] b1 = random(2)
  c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
  r1 = Relu(c1)
  float32[8,1,3,3] w2 = random(3)
  c2 = Conv<group=8>(r1, w2)
  r2 = LeakyRelu<alpha=0.1>(c2)
  float32[6,4,1,1] w3 = random(4)
  float32[6] b3 = random(5)
  c3 = Conv<group=2>(r2, w3, b3)
  p3 = AveragePool<kernel_shape=[2,2], strides=[2,2]>(c3)
  float32[6,2,2,2] w4 = random(6)
  c4 = ConvTranspose(p3, w4)
  s4 = Sigmoid(c4)
  float32[4,2,1,1] w5 = random(7)
  c5 = Conv(s4, w5)
  f5 = Flatten(c5)
  float32[64,5] w6 = random(8)
  y = Gemm(f5, w6)
})";

Tensor RandomInput(const Shape& shape, uint64_t seed) {
  Random random(seed);
  Tensor x = Tensor::Empty(DType::kFloat, shape);
  for (int64_t i = 0; i < x.size(); ++i)
    x.mutable_data<float>()[i] = static_cast<float>(random.Normal());
  return x;
}

Tensor Run(const graph::Model& model, const Tensor& x) {
  return engine::Executor::Create(model).value()->Run({x}).value()[0];
}

std::set<std::string> Values(const std::vector<GroupMember>& members) {
  std::set<std::string> values;
  for (const GroupMember& member : members) values.insert(member.value);
  return values;
}

using Expected = std::vector<std::pair<std::set<std::string>, std::set<std::string>>>;

void CheckGroups(const char* text, const Tensor& x, const Expected& expected) {
  graph::Model model = graph::Parse(text).value();
  const auto found = FindScaleGroups(model, {x});
  INFO((found.ok() ? "" : found.status().message()));
  REQUIRE(found.ok());
  Expected groups;
  for (const ScaleGroup& group : *found)
    groups.emplace_back(Values(group.makers), Values(group.readers));
  CHECK(groups == expected);

  const Tensor before = Run(model, RandomInput(x.shape(), 77));
  Random random(3);
  for (const ScaleGroup& group : *found) {
    Tensor logarithms = RandomInput({group.channels}, random.Next());
    for (const auto* members : {&group.makers, &group.readers})
      for (const GroupMember& member : *members) {
        const ChannelScale scale{
            .logarithms = {}, .channel = member.channel, .divides = members == &group.makers};
        const Tensor old = *model.graph->FindInitializer(member.value);
        model.graph->SetInitializer(member.value, Scaled(old, {scale}, {&logarithms, 1}));
      }
  }
  const Tensor after = Run(model, RandomInput(x.shape(), 77));
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < before.size(); ++i) {
    const double a = before.data<float>()[i], b = after.data<float>()[i];
    largest = std::max(largest, std::fabs(a));
    difference = std::max(difference, std::fabs(a - b));
  }
  CHECK(difference < 1e-5 * largest);
}

TEST_CASE("scale groups of a decoder: norms, value and output, up and down") {
  CheckGroups(kDecoder, RandomInput({2, 5, 16}, 1),
              {{{"g1"}, {"wq", "wk", "wv"}},
               {{"wv", "bv"}, {"wo"}},
               {{"g2", "b2"}, {"wg", "wu"}},
               {{"wu"}, {"wd"}}});
}

TEST_CASE("scale groups of convolutions, with groups, transposed, and behind a Flatten") {
  CheckGroups(kConvolutions, RandomInput({2, 3, 8, 8}, 1),
              {{{"w1", "b1"}, {"w2"}}, {{"w2"}, {"w3"}}, {{"w3", "b3"}, {"w4"}}, {{"w5"}, {"w6"}}});
}

}  // namespace
}  // namespace roundel::tune
