#pragma once
// A float model from text with the grids that calibration on random data gives it.

#include <functional>
#include <memory>

#include "lib/graph/text.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::e2e {

using AdjustGrids = std::function<void(target::GridChoice&)>;

// Fails the test if the text does not parse or calibration does not run.
inline std::unique_ptr<Session> Calibrated(const char* text, const Shape& input,
                                           const char* target = "ort-cpu",
                                           const AdjustGrids& adjust = {}) {
  auto parsed = graph::Parse(text);
  INFO((parsed.ok() ? "" : parsed.status().message()));
  REQUIRE(parsed.ok());
  auto session = std::make_unique<Session>();
  session->model = std::move(parsed).value();
  session->target = target::LoadProfile(target).value();
  session->grids = target::DefaultChoice(session->target);
  if (adjust) adjust(session->grids);
  support::VectorSource data = support::RandomSource(input, 4, 7);
  session->data = &data;
  report::Report report;
  const recipe::Step calibrate = {"calibrate",
                                  recipe::Params(passes::FindPass("calibrate")->params), 0};
  const Status ran = passes::RunSteps({calibrate}, {}, session.get(), &report);
  session->data = nullptr;
  INFO(ran.message());
  REQUIRE(ran.ok());
  return session;
}

}  // namespace roundel::e2e
