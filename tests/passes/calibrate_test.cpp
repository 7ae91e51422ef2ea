#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "passes/pass.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using quant::Encoding;
using quant::QParams;
using quant::Role;
using support::ParseModel;
using support::VectorSource;

Batch MakeBatch(std::vector<Tensor> inputs, std::vector<std::string> names) {
  Batch batch;
  batch.size = static_cast<int64_t>(names.size());
  batch.inputs = std::move(inputs);
  batch.sample_names = std::move(names);
  return batch;
}
// One batch of samples of shape [n, width].
Batch Rows(int64_t n, const std::vector<float>& values) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < n; ++i) names.push_back(StrCat("row", i, ".npy"));
  const int64_t width = static_cast<int64_t>(values.size()) / n;
  return MakeBatch({Tensor::FromVector<float>({n, width}, values)}, names);
}

struct Calibration {
  Session session;
  report::PassReport report;
  Status status;
  Outcome outcome = Outcome::kUnchanged;

  const Encoding& operator[](const std::string& value) const {
    INFO(value);
    REQUIRE(session.encodings.contains(value));
    return session.encodings.at(value);
  }
  QParams Params(const std::string& value) const { return (*this)[value].params.at(0); }
  std::string Record(const std::string& subject) const {
    for (const report::Record& record : report.records)
      if (record.subject == subject) return record.action + ": " + record.reason;
    return "";
  }
};

using ParamTexts = std::map<std::string, std::string>;

void Rerun(Calibration* c, const ParamTexts& texts = {}) {
  const PassInfo* info = FindPass("calibrate");
  REQUIRE(info);
  recipe::Params params(info->params);
  for (const auto& [name, text] : texts) REQUIRE(params.SetFromText(info->params, name, text).ok());
  c->report = {};
  c->session.report = &c->report;
  auto outcome = info->run(c->session, params);
  c->status = outcome.ok() ? OkStatus() : outcome.status();
  if (outcome.ok()) c->outcome = *outcome;
}

std::unique_ptr<Calibration> Prepare(const std::string& model, DataSource* data) {
  auto c = std::make_unique<Calibration>();
  c->session.model = ParseModel(model);
  c->session.target = target::LoadProfile("ort-cpu").value();
  c->session.grids = target::DefaultChoice(c->session.target);
  c->session.data = data;
  return c;
}

std::unique_ptr<Calibration> Calibrate(const std::string& model, DataSource* data,
                                       const ParamTexts& texts = {}) {
  auto c = Prepare(model, data);
  Rerun(c.get(), texts);
  return c;
}

const char* const kGemmRelu = R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] w = {1, 0, 0, 0.25}
  float32[2] b = {0.5, -1}
  [fc] t = Gemm(x, w, b)
  [relu] y = Relu(t)
})";

}  // namespace

TEST_CASE("ranges become scales and zero points by ONNX Runtime's arithmetic") {
  // x in [-1, 3]: scale 4/255, zero point round(63.75). t = {x0 + 0.5, x1/4 - 1} is at most 3.5,
  // and the Relu makes y's range [0, 3.5]. w by column: 1/127 and 0.25/127.
  VectorSource data({Rows(2, {-1, 2, 3, 0.5}), Rows(1, {0, 2.5})});
  const auto c = Calibrate(kGemmRelu, &data);
  INFO(c->status.message());
  REQUIRE(c->status.ok());
  CHECK(c->outcome == Outcome::kChanged);
  CHECK(c->session.encodings.size() == 4);
  CHECK(c->Params("x") == QParams{static_cast<float>(4.0 / 255), 64});
  CHECK(c->Params("y") == QParams{static_cast<float>(3.5 / 255), 0});
  CHECK((*c)["w"].params == std::vector<QParams>{{static_cast<float>(2.0 / 254), 0},
                                                 {static_cast<float>(0.5 / 254), 0}});
  CHECK((*c)["w"].axis == 1);
  const float sx = static_cast<float>(4.0 / 255);
  CHECK((*c)["b"].params == std::vector<QParams>{{sx * static_cast<float>(2.0 / 254), 0},
                                                 {sx * static_cast<float>(0.5 / 254), 0}});
  CHECK((*c)["b"].role == Role::kBias);
  CHECK((*c)["x"].decided_by == "calibrate");
  REQUIRE(c->session.placement.has_value());
  CHECK(c->session.placement->absorbable == std::vector<std::string>{"y"});
  Rerun(c.get());
  CHECK(c->outcome == Outcome::kUnchanged);
}

TEST_CASE("unsigned symmetric: from 0 where nothing is negative, 128 in the middle elsewhere") {
  VectorSource data({Rows(2, {-1, 2, 3, 0.5}), Rows(1, {0, 2.5})});
  auto c = Prepare(kGemmRelu, &data);
  c->session.grids.activations = {.bits = 8, .symmetric = true, .from_zero = true};
  Rerun(c.get());
  INFO(c->status.message());
  REQUIRE(c->status.ok());
  CHECK(c->Params("x") == QParams{static_cast<float>(6.0 / 255), 128});
  CHECK(c->Params("y") == QParams{static_cast<float>(3.5 / 255), 0});
  CHECK((*c)["x"].grid == quant::Grid{.bits = 8, .symmetric = true});
  CHECK((*c)["y"].grid == quant::Grid{.bits = 8});
  CHECK(c->session.placement->absorbable == std::vector<std::string>{"y"});
}

TEST_CASE("percentile and samples reach the observers") {
  std::vector<float> values(2000, 1.0f);
  values[0] = 100;
  VectorSource data({Rows(1000, values), Rows(1, {-7, 7})});
  const auto c = Calibrate(kGemmRelu, &data, {{"method", "percentile"}, {"percentile", "99"}});
  REQUIRE(c->status.ok());
  CHECK(c->Params("x").scale * 255 == Approx(1.0).epsilon(0.01));
  const auto first = Calibrate(kGemmRelu, &data, {{"samples", "5"}});
  REQUIRE(first->status.ok());
  CHECK(first->Params("x") ==
        QParams{static_cast<float>(100.0 / 255), 0});  // no -7: first batch only
}

TEST_CASE("a group shares the union of its ranges, constants included") {
  VectorSource data({Rows(1, {-1, 2})});
  const auto c = Prepare(R"(opset 13
graph g (float32[N,2] x) => (float32[N,2,2] z) {
  float32[1,2] k = {-5, 1}
  int64[3] shape = {-1, 2, 2}
  s = Sigmoid(x)
  a = Add(x, x)
  y = Concat<axis=1>(a, k)
  z = Reshape(y, shape)
})",
                         &data);
  c->session.target.anchors.clear();  // there is no layer
  Rerun(c.get());
  INFO(c->status.message());
  REQUIRE(c->status.ok());
  // a in [-2, 4], k in [-5, 1]: [-5, 4], scale 9/255, zero point round(141.67).
  for (const char* value : {"a", "k", "y", "z"})
    CHECK(c->Params(value) == QParams{static_cast<float>(9.0 / 255), 142});
  CHECK((*c)["k"].role == Role::kWeight);
  CHECK(c->Params("s") == QParams{static_cast<float>(1.0 / 255), 0});
  CHECK(c->Params("x") == QParams{static_cast<float>(3.0 / 255), 85});
}

TEST_CASE("errors of the data name value and sample") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  VectorSource batch({Rows(3, {0, 1, 2, 3, nan, 5})});
  auto c = Calibrate(kGemmRelu, &batch);
  CHECK(c->status.kind() == ErrorKind::kData);
  CHECK(c->status.message() == "sample 'row2.npy': value 'x': it contains NaN");
  VectorSource single({Rows(1, {0, 1}), Rows(1, {INFINITY, 1})});
  c = Calibrate(kGemmRelu, &single);
  CHECK(c->status.message() ==
        "sample 'row0.npy': value 'x': it contains infinity; to leave it float: --set "
        "'exclude=[fc]'");
  CHECK(c->session.encodings.empty());
  VectorSource none({});
  c = Calibrate(kGemmRelu, &none);
  CHECK(c->status.kind() == ErrorKind::kData);
  CHECK(c->status.message() == "the calibration data has no samples");
  c = Calibrate(kGemmRelu, nullptr);
  CHECK(c->status.kind() == ErrorKind::kUsage);
  CHECK(c->status.message() == "calibrate needs data: set 'path' in the section 'data'");
}

TEST_CASE("a value that is empty in every sample stays float, and that is said") {
  VectorSource data({Rows(1, {1, 2})});
  const auto c = Prepare(R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y, float32[N,0] e) {
  int64[1] zero = {0}
  int64[1] one = {1}
  y = Add(x, x)
  s = Slice(x, zero, zero, one)
  e = Mul(s, s)
})",
                         &data);
  c->session.target.anchors.clear();  // there is no layer
  Rerun(c.get());
  REQUIRE(c->status.ok());
  CHECK_FALSE(c->session.encodings.contains("e"));
  CHECK(c->session.encodings.contains("y"));
  REQUIRE(c->report.warnings.size() == 1);
  CHECK(c->report.warnings[0].starts_with("no sample of the data gives values to "));
}

TEST_CASE("a weight that is not finite is a model error") {
  VectorSource data({Rows(1, {1, 2})});
  auto c = Prepare(kGemmRelu, &data);
  c->session.model.graph->SetInitializer("w", Tensor::FromVector<float>({2, 2}, {1, 2, NAN, 3}));
  Rerun(c.get());
  CHECK(c->status.kind() == ErrorKind::kModel);
  CHECK(c->status.message() == "weight 'w': it contains NaN");
}

TEST_CASE("frozen encodings stay, their group follows, biases use their scales") {
  VectorSource data({Rows(1, {-1, 3})});
  auto c = Prepare(R"(opset 13
graph g (float32[N,2] x) => (float32[2,N] z) {
  float32[2,2] w = {1, 0, 0, 0.25}
  float32[2] b = {0.5, -1}
  y = Gemm(x, w, b)
  z = Transpose<perm=[1,0]>(y)
})",
                   &data);
  c->session.encodings["y"] = {.grid = {.bits = 8}, .params = {{0.125f, 9}}, .frozen = true};
  c->session.encodings["w"] = {.role = Role::kWeight,
                               .grid = {.bits = 8, .is_signed = true, .symmetric = true},
                               .params = {{0.5f, 0}},
                               .codes = Tensor::FromVector<int8_t>({2, 2}, {2, 0, 0, 1}),
                               .frozen = true};
  c->session.encodings["stale"] = {.params = {{1, 0}}};
  Rerun(c.get());
  INFO(c->status.message());
  REQUIRE(c->status.ok());
  CHECK(c->Params("y") == QParams{0.125f, 9});
  CHECK((*c)["y"].frozen);
  CHECK(c->Params("z") == QParams{0.125f, 9});
  CHECK_FALSE((*c)["z"].frozen);
  CHECK((*c)["w"].codes.has_value());
  CHECK((*c)["b"].params == std::vector<QParams>{{static_cast<float>(4.0 / 255) * 0.5f, 0}});
  CHECK_FALSE(c->session.encodings.contains("stale"));
}

TEST_CASE("dead channels: scales that keep the bias inside the accumulator") {
  // Channel 0 is ordinary, 1 all zero, 2 so small that its bias would need 10^12 steps, 3 denormal.
  VectorSource data({Rows(1, {-1, 3})});
  const auto c = Calibrate(R"(opset 13
graph g (float32[N,2] x) => (float32[N,4] y) {
  float32[4,2] w = {1, -1, 0, 0, 1e-9, 0, 1e-42, 0}
  float32[4] b = {0.5, -0.25, 1000, 0}
  y = Gemm<transB=1>(x, w, b)
})",
                           &data);
  INFO(c->status.message());
  REQUIRE(c->status.ok());
  const std::vector<QParams>& w = (*c)["w"].params;
  const std::vector<QParams>& b = (*c)["b"].params;
  const auto ordinary = static_cast<float>(1.0 / 127);
  CHECK(w[0].scale == ordinary);
  CHECK(w[1].scale == ordinary);             // the bias of a dead channel is as fine as the others
  CHECK(w[3].scale == ordinary / 16777216);  // 2^-24 of the largest
  const float sx = static_cast<float>(4.0 / 255);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(b[i].scale == sx * w[i].scale);
    const float bias[] = {0.5f, -0.25f, 1000, 0};
    const double code = std::abs(bias[i] / static_cast<double>(b[i].scale));
    CHECK(code <= 1.0001 * 0x1p30);
  }
  // As fine as the accumulator allows.
  CHECK(1000 / static_cast<double>(b[2].scale) >= 0.999 * 0x1p30);
  CHECK(c->Record("w") == "scale raised: channel 2: the bias 'b' would overflow int32");
  // The codes reproduce the biases to half a step.
  const Tensor& bias = *c->session.model.graph->Constant("b");
  const Tensor back = quant::FakeQuantizeTensor(bias, (*c)["b"]);
  for (int i = 0; i < 4; ++i)
    CHECK(std::abs(back.data<float>()[i] - bias.data<float>()[i]) <=
          std::max(0.5f * b[i].scale, 1e-6f * std::abs(bias.data<float>()[i])));
}

TEST_CASE("a bias that cannot fit because its weight is frozen stays float, and says so") {
  VectorSource data({Rows(1, {-1, 3})});
  auto c = Prepare(kGemmRelu, &data);
  c->session.encodings["w"] = {.role = Role::kWeight,
                               .grid = {.bits = 8, .is_signed = true, .symmetric = true},
                               .params = {{1e-12f, 0}},
                               .frozen = true};
  Rerun(c.get());
  REQUIRE(c->status.ok());
  CHECK_FALSE(c->session.encodings.contains("b"));
  CHECK(c->Record("b").starts_with("declined: bias does not fit int32 at scale"));
}

TEST_CASE("weights per tensor and in blocks") {
  VectorSource data({Rows(1, {-1, 3})});
  auto c = Prepare(R"(opset 13
graph g (float32[N,3] x) => (float32[N,2] y) {
  float32[3,2] w = {1, -2, 3, 4, -5, 6}
  y = MatMul(x, w)
})",
                   &data);
  c->session.data = nullptr;
  VectorSource three({Rows(1, {-1, 3, 2})});
  c->session.data = &three;
  c->session.grids.weight_granularity = quant::Granularity::kTensor;
  Rerun(c.get());
  REQUIRE(c->status.ok());
  CHECK((*c)["w"].params == std::vector<QParams>{{static_cast<float>(12.0 / 254), 0}});
  c->session.grids.weight_granularity = quant::Granularity::kBlock;
  c->session.grids.block_size = 2;
  c->session.grids.weights = {.bits = 4, .is_signed = true, .symmetric = true};
  Rerun(c.get());
  REQUIRE(c->status.ok());
  // Blocks {1, 3}, {-2, 4}, {-5}, {6}: 2 * largest / 15.
  std::vector<QParams> expected;
  for (const double largest : {3.0, 4.0, 5.0, 6.0})
    expected.push_back({static_cast<float>(2 * largest / 15), 0});
  CHECK((*c)["w"].params == expected);
}

TEST_CASE("declined nodes and patterns without a match are recorded") {
  VectorSource data({Rows(1, {-1, 3})});
  auto c = Prepare(R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  [a] t = Add(x, x)
  [e] y = Erf(t)
})",
                   &data);
  c->session.grids.exclude = {"head"};
  Rerun(c.get());
  REQUIRE(c->status.ok());
  CHECK(c->Record("'e' (Erf)") == "declined: op Erf is not in the profile");
  CHECK(c->Record("head") == "unmatched: the exclude pattern matches no node");
}

TEST_CASE("a model without anything to quantize needs no data") {
  const auto c =
      Calibrate("opset 13\ngraph g (float32[N,2] x) => (float32[N,2] y) { y = Erf(x) }", nullptr);
  CHECK(c->status.ok());
  CHECK(c->session.encodings.empty());
}

}  // namespace roundel::passes
