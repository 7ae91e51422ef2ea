// Masked attention after quantization in ONNX Runtime, optimized and not.

#include <limits>

#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "passes/runner.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/mask_models.h"

namespace roundel {
namespace {

graph::Model Quantized(const graph::Model& model, const char* target, bool masked) {
  Session session;
  support::VectorSource data({support::MaskBatch(64, masked, 5)});
  session.model = graph::Clone(model);
  session.target = target::LoadProfile(target).value();
  session.grids = target::DefaultChoice(session.target);
  session.data = &data;
  report::Report report;
  const recipe::Step calibrate = {"calibrate",
                                  recipe::Params(passes::FindPass("calibrate")->params), 0};
  const Status ran = passes::RunSteps({calibrate}, {}, &session, &report);
  INFO(ran.message());
  REQUIRE(ran.ok());
  auto exported = target::Export(session.model, session.encodings, {});
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  return std::move(exported).value();
}

TEST_CASE("masked scores come out of ONNX Runtime as they do in float") {
  if (e2e::SkippedWithoutOrt()) return;
  const e2e::ScratchFolder scratch("masks");
  const Batch judged = support::MaskBatch(32, true, 11);
  std::vector<e2e::OrtJob> jobs;
  std::vector<std::string> labels;
  std::vector<double> factors;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const support::MaskForm& form : support::MaskForms()) {
    for (const float low : {-kInfinity, std::numeric_limits<float>::lowest(), -1e4f}) {
      if (low == -kInfinity && !form.takes_infinity) continue;
      for (const char* target : {"ort-cpu", "generic"}) {
        for (const bool masked : {true, false}) {
          const graph::Model model = support::MaskModel(form, support::SoftmaxForms()[0], low);
          const std::string file = scratch.File(std::to_string(jobs.size()) + ".onnx");
          REQUIRE(io::WriteOnnx(Quantized(model, target, masked), file).ok());
          for (const bool optimize : {false, true}) {
            jobs.push_back({file, optimize, {{"x", judged.inputs[0]}, {"keep", judged.inputs[1]}}});
            labels.push_back(form.name + ", " + std::to_string(low) + ", " + target);
            factors.push_back(form.factor);
          }
        }
      }
    }
  }
  const auto outputs = e2e::RunOrt(jobs, scratch.path());
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  for (size_t i = 0; i < jobs.size(); ++i) {
    INFO(labels[i] << (jobs[i].optimize ? ", optimized" : ""));
    CHECK(support::MaskError(judged, factors[i], outputs->at(i).at(0)) <
          (factors[i] == 1 ? 0.08 : 0.12));
  }
}

}  // namespace
}  // namespace roundel
