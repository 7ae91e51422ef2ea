// Ranges by calibrate: which parts of a Concat share one, and which values are never clipped.

#include <cmath>

#include "lib/base/text.h"
#include "passes/pass.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using quant::QParams;
using support::ParseModel;
using support::VectorSource;

struct Calibration {
  Session session;
  report::PassReport report;

  double Width(const std::string& value) const {
    INFO(value);
    REQUIRE(session.encodings.contains(value));
    const quant::Encoding& e = session.encodings.at(value);
    return static_cast<double>(e.params.at(0).scale) * (e.grid.qmax() - e.grid.qmin());
  }
  bool Has(const std::string& value) const { return session.encodings.contains(value); }
  std::string Record(const std::string& subject) const {
    for (const report::Record& record : report.records)
      if (record.subject == subject) return record.action + ": " + record.reason;
    return "";
  }
};

// x holds 64 values from -1 to 1 in even steps, once: those of its first channel from -1 to -0.52.
std::unique_ptr<Calibration> Calibrate(const std::string& model, const char* target = "ort-cpu",
                                       const std::map<std::string, std::string>& texts = {},
                                       int bits = 8) {
  auto c = std::make_unique<Calibration>();
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(static_cast<float>(-1 + 2 * i / 63.0));
  Batch batch;
  batch.inputs = {Tensor::FromVector<float>({1, 4, 4, 4}, values)};
  batch.size = 1;
  batch.sample_names = {"x.npy"};
  VectorSource data({batch});
  Session& session = c->session;
  session.model = ParseModel(model);
  session.target = target::LoadProfile(target).value();
  session.grids = target::DefaultChoice(session.target);
  session.grids.activations.bits = bits;
  session.data = &data;
  session.report = &c->report;
  const PassInfo* info = FindPass("calibrate");
  recipe::Params params(info->params);
  for (const auto& [name, text] : texts) REQUIRE(params.SetFromText(info->params, name, text).ok());
  const auto outcome = info->run(session, params);
  INFO((outcome.ok() ? "" : outcome.status().message()));
  REQUIRE(outcome.ok());
  session.data = nullptr;
  return c;
}

// Two convolutions of one input, the second `ratio` times as large, joined for a third; the first
// has another reader if `extra` says so.
std::string Joined(double ratio, const std::string& extra, const std::string& outputs = "") {
  return StrCat(R"(opset 13
graph g (float32[1,4,4,4] x) => (float32[1,2,4,4] y)",
                outputs, R"() {
  float32[1,4,1,1] w = {1, 0, 0, 0}
  float32[1,4,1,1] v = {)",
                ratio, R"(, 0, 0, 0}
  float32[2,2,1,1] u = ones
  float32[2,1,1,1] t = ones
  a = Conv(x, w)
  b = Conv(x, v)
  j = Concat<axis=1>(a, b)
  y = Conv(j, u)
)",
                extra, "}");
}

const char* const kElsewhere = "  z = Conv(a, t)\n";
const char* const kMore = ", float32[1,2,4,4] z";

}  // namespace

TEST_CASE("parts of a Concat share a range where nothing else reads them") {
  const auto c = Calibrate(Joined(8, ""));
  CHECK(c->Width("a") == Approx(c->Width("j")));
  CHECK(c->Width("b") == Approx(c->Width("j")));
}

TEST_CASE("a part that others read has a range of its own if that is much narrower") {
  const auto apart = Calibrate(Joined(8, kElsewhere, kMore));
  CHECK(apart->Width("a") == Approx(apart->Width("j") / 8).epsilon(0.02));
  CHECK(apart->Width("b") == Approx(apart->Width("j")));
  CHECK(apart->Record("a").starts_with("own range: the range of 'j'"));
  const auto together = Calibrate(Joined(1.2, kElsewhere, kMore));
  CHECK(together->Width("a") == Approx(together->Width("j")));
  // 16 bits have steps enough for both.
  const auto wide = Calibrate(Joined(8, kElsewhere, kMore), "ort-cpu", {}, 16);
  CHECK(wide->Width("a") == Approx(wide->Width("j")));
}

TEST_CASE("what moving makes of a part is the part: its readers count") {
  const auto c = Calibrate(StrCat(R"(opset 13
graph g (float32[1,4,4,4] x) => (float32[1,2,4,4] y, float32[1,1,4,4] z) {
  float32[1,4,1,1] w = {1, 0, 0, 0}
  float32[1,4,1,1] v = {8, 0, 0, 0}
  float32[2,2,1,1] u = ones
  float32[1,1,1,1] t = ones
  a = Conv(x, w)
  m = Transpose<perm=[0,1,3,2]>(a)
  b = Conv(x, v)
  j = Concat<axis=1>(m, b)
  y = Conv(j, u)
  z = Conv(a, t)
})"));
  CHECK(c->Width("m") == Approx(c->Width("a")));
  CHECK(c->Width("a") == Approx(c->Width("j") / 8).epsilon(0.02));
}

TEST_CASE("a layer becomes float only if next to nothing of a part would be left") {
  const auto kept = Calibrate(Joined(32, ""));  // 8 levels
  CHECK(kept->Has("j"));
  const auto lost = Calibrate(Joined(1000, kElsewhere, kMore));
  CHECK_FALSE(lost->Has("j"));
  CHECK_FALSE(lost->Has("y"));
  CHECK_FALSE(lost->Has("u"));
  CHECK(lost->Has("a"));  // of the Conv, and of the other reader
  CHECK(lost->Has("z"));
  CHECK(lost->Record("Concat producing 'j'").find("of 256 levels 'a' would have 0.3") !=
        std::string::npos);
  CHECK(lost->Record("Conv producing 'y'").find("joins parts of too different ranges") !=
        std::string::npos);
}

TEST_CASE("boxes and scores in front of an output keep their levels on every target") {
  const std::string model = R"(opset 13
graph g (float32[1,4,4,4] x) => (float32[1,2,4,4] y) {
  float32[1,4,1,1] w = {1, 0, 0, 0}
  float32[] stride = {320}
  a = Conv(x, w)
  c = Conv(x, w)
  b = Mul(a, stride)
  s = Sigmoid(c)
  y = Concat<axis=1>(b, s)
})";
  for (const char* target : {"ort-cpu", "generic", "openvino", "qnn-htp", "ort-mobile-xnnpack"})
    for (const char* method : {"min_max", "percentile", "mse"}) {
      INFO(target << " " << method);
      const auto c = Calibrate(model, target, {{"method", method}});
      CHECK_FALSE(c->Has("y"));
      CHECK(c->Width("c") < 3);
    }
  // Where everything is quantized the parts are, too, each for itself.
  const auto htp = Calibrate(model, "qnn-htp");
  CHECK(htp->Width("b") == Approx(320).epsilon(0.02));
  CHECK(htp->Width("s") == Approx(1));
}

TEST_CASE("joins of joins: an inner one keeps its range, the outer one requantizes it") {
  const auto c = Calibrate(R"(opset 13
graph g (float32[1,4,4,4] x) => (float32[1,2,4,4] y, float32[1,2,4,4] z) {
  float32[1,4,1,1] w = {1, 0, 0, 0}
  float32[1,4,1,1] v = {16, 0, 0, 0}
  float32[2,3,1,1] u = ones
  float32[2,2,1,1] t = ones
  a = Conv(x, w)
  b = Conv(x, w)
  i = Concat<axis=1>(a, b)
  d = Conv(x, v)
  j = Concat<axis=1>(i, d)
  y = Conv(j, u)
  z = Conv(i, t)
})");
  CHECK(c->Width("a") == Approx(1).epsilon(0.02));
  CHECK(c->Width("i") == Approx(1).epsilon(0.02));
  CHECK(c->Width("j") == Approx(16).epsilon(0.02));
}

TEST_CASE("what reaches an output as it is keeps its whole range, whatever the method") {
  // One value of 60000 is 100 times as large as the others.
  const auto scores = [](const char* method, const std::string& tail, bool pooled) {
    std::vector<float> values(60000, 0.5f);
    for (size_t i = 0; i < values.size(); ++i) values[i] *= static_cast<float>(i % 7);
    values[777] = 300;
    Batch batch;
    batch.inputs = {Tensor::FromVector<float>({1, 1, 300, 200}, values)};
    batch.size = 1;
    batch.sample_names = {"x.npy"};
    VectorSource data({batch});
    auto c = std::make_unique<Calibration>();
    c->session.model = ParseModel(
        StrCat(R"(opset 13
graph g (float32[1,1,300,200] x) => (float32 y) {
  float32[1,1,1,1] w = ones
  a = Conv(x, w)
  b = Conv(a, w)
)",
               pooled ? "  p = GlobalAveragePool(b)\n" : "  p = Transpose(b)\n", tail, "}"));
    c->session.target = target::LoadProfile("ort-cpu").value();
    c->session.grids = target::DefaultChoice(c->session.target);
    c->session.data = &data;
    c->session.report = &c->report;
    const PassInfo* info = FindPass("calibrate");
    recipe::Params params(info->params);
    REQUIRE(params.SetFromText(info->params, "method", method).ok());
    const auto outcome = info->run(c->session, params);
    INFO((outcome.ok() ? "" : outcome.status().message()));
    REQUIRE(outcome.ok());
    return c;
  };
  for (const char* method : {"percentile", "kl", "aciq", "moving_average"}) {
    INFO(method);
    const auto direct = scores(method, "  y = Sigmoid(p)\n", false);
    CHECK(direct->Width("b") == Approx(300).epsilon(0.01));
    CHECK(direct->Record("b").starts_with("kept whole"));
  }
  // The input of a layer that computes a score map keeps it, too, unless finer steps for the other
  // values are worth more.
  CHECK(scores("percentile", "  y = Sigmoid(p)\n", false)->Width("a") > 250);
  // A mean over the image hardly depends on it.
  const auto mean = scores("percentile", "  y = Flatten(p)\n", true);
  CHECK(mean->Width("b") < 10);
  CHECK(mean->Width("a") < 10);
}

}  // namespace roundel::passes
