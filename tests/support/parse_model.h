#pragma once
// A model from its text form, for tests: a syntax error fails the test and shows the text.

#include <string>
#include <utility>

#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::support {

inline graph::Model ParseModel(const std::string& text) {
  auto model = graph::Parse(text);
  INFO(text << "\n" << (model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

}  // namespace roundel::support
