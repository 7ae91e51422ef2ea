// calibrate on attention masks in all forms: on the chosen grids Softmax gives the result of the
// scores that are not masked.

#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "passes/pass.h"
#include "tests/support/mask_models.h"

namespace roundel::passes {
namespace {

using support::MaskBatch;
using support::MaskForm;
using support::MaskModel;
using support::VectorSource;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

struct Calibrated {
  Session session;
  report::PassReport report;
  Status status;
};

std::unique_ptr<Calibrated> Calibrate(const graph::Model& model, Batch batch,
                                      const std::string& method, int bits = 8) {
  auto c = std::make_unique<Calibrated>();
  VectorSource data({std::move(batch)});
  c->session.model = graph::Clone(model);
  c->session.target = target::LoadProfile("generic").value();
  c->session.target.anchors.clear();  // there is no layer
  c->session.grids = target::DefaultChoice(c->session.target);
  c->session.grids.activations.bits = bits;
  c->session.data = &data;
  c->session.report = &c->report;
  const PassInfo* info = FindPass("calibrate");
  recipe::Params params(info->params);
  REQUIRE(params.SetFromText(info->params, "method", method).ok());
  const auto outcome = info->run(c->session, params);
  if (!outcome.ok()) c->status = outcome.status();
  c->session.data = nullptr;
  return c;
}

double SimulatedError(const Calibrated& c, const Batch& batch, double factor) {
  const auto executor =
      engine::Executor::Create(c.session.model, {.simulate = &c.session.encodings});
  REQUIRE(executor.ok());
  const auto outputs = (*executor)->Run(batch.inputs);
  REQUIRE(outputs.ok());
  return support::MaskError(batch, factor, outputs->at(0));
}

}  // namespace

TEST_CASE(
    "masks of any form leave a quantized Softmax what it is, whether samples used them or not") {
  const Batch judged = MaskBatch(64, true, 11);
  for (const MaskForm& form : support::MaskForms()) {
    for (const std::string& softmax : support::SoftmaxForms()) {
      for (const float low : {-kInfinity, kLowest, -1e9f, -1e4f}) {
        if (low == -kInfinity && !form.takes_infinity) continue;
        // The lowest float twice is -infinity, which a maximum of nothing else would make NaN.
        const graph::Model model = MaskModel(form, softmax, low);
        for (const bool masked : {true, false}) {
          INFO(form.name << "; " << softmax << "; " << low << (masked ? "; masked" : "; unmasked"));
          const auto c = Calibrate(model, MaskBatch(64, masked, 5), "min_max");
          INFO(c->status.message());
          REQUIRE(c->status.ok());
          // Scores in some 10 units, and as much again and 11 more for the mask: steps of up to
          // 0.15. What is halved behind the mask needs one that reaches twice as far.
          CHECK(SimulatedError(*c, judged, form.factor) < (form.factor == 1 ? 0.08 : 0.12));
        }
      }
    }
  }
}

TEST_CASE("with 16 bits a mask costs next to nothing") {
  const Batch judged = MaskBatch(64, true, 6);  // nothing of which is cut off
  for (const MaskForm& form : support::MaskForms()) {
    for (const float low : {kLowest, -1e4f}) {
      INFO(form.name << "; " << low);
      const graph::Model model = MaskModel(form, support::SoftmaxForms()[0], low);
      const auto c = Calibrate(model, MaskBatch(64, true, 6), "min_max", 16);
      REQUIRE(c->status.ok());
      CHECK(SimulatedError(*c, judged, form.factor) < 1e-3);
    }
  }
}

TEST_CASE("every method leaves infinite masks out") {
  const graph::Model model =
      MaskModel(support::MaskForms()[7], support::SoftmaxForms()[0], -kInfinity);
  for (const std::string& method : FindPass("calibrate")->params[0].choices) {
    INFO(method);
    const auto c = Calibrate(model, MaskBatch(64, true, 7), method);
    INFO(c->status.message());
    REQUIRE(c->status.ok());
    // Scores of deviation 1.5, and 11.1 below the least of them.
    const float width = c->session.encodings.at("s").params.at(0).scale * 255;
    CHECK(width > 11);
    CHECK(width < 24);
  }
}

TEST_CASE("infinity that others than exponentials see is bad data, and the way out is named") {
  graph::Model model = MaskModel(support::MaskForms()[7], "[act] y = Tanh(s)", -kInfinity);
  for (const auto& node : model.graph->nodes())
    if (node->Is("Where")) node->name = "choose";
  model.graph->InvalidateIndex();
  const auto c = Calibrate(model, MaskBatch(8, true, 7), "min_max");
  CHECK(c->status.kind() == ErrorKind::kData);
  const std::string& said = c->status.message();
  INFO(said);
  CHECK(said.find("value 's' of 'choose' (Where): it contains infinity") != std::string::npos);
  CHECK(said.find("--set 'exclude=[choose,act]'") != std::string::npos);
}

TEST_CASE("NaN among masked scores is bad data") {
  const graph::Model model =
      MaskModel(support::MaskForms()[7], support::SoftmaxForms()[0], -kInfinity);
  Batch batch = MaskBatch(8, true, 7);
  batch.inputs[0].mutable_data<float>()[0] = NAN;
  const auto c = Calibrate(model, batch, "min_max");
  CHECK(c->status.kind() == ErrorKind::kData);
  CHECK(c->status.message().find("NaN") != std::string::npos);
}

}  // namespace roundel::passes
