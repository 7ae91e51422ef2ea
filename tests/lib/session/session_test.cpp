#include "lib/session/session.h"

#include "lib/graph/text.h"
#include "tests/support/catch.h"

using namespace roundel;

TEST_CASE("a clone of a session can be edited without the session") {
  Session session;
  session.model =
      graph::Parse(
          "opset 13\ngraph g (float32[2] x) => (float32[2] y) {\n float32[2] w = {1, 2}\n"
          " y = Add(x, w)\n}")
          .value();
  session.encodings["w"].params = {{.scale = 1}};
  session.output_moments["y"].mean = {3};
  report::PassReport report;
  session.report = &report;
  Session copy = session.Clone();
  CHECK(copy.report == &report);
  Tensor w = *copy.model.graph->FindInitializer("w");
  w.mutable_data<float>()[0] = 7;
  copy.model.graph->SetInitializer("w", w);
  copy.model.graph->AddNode({.op_type = "Relu", .inputs = {"y"}, .outputs = {"z"}});
  copy.encodings["w"].params[0].scale = 2;
  copy.output_moments.clear();
  copy.corrected_biases.insert("y");
  CHECK(session.model.graph->FindInitializer("w")->data<float>()[0] == 1);
  CHECK(session.model.graph->nodes().size() == 1);
  CHECK(session.encodings["w"].params[0].scale == 1);
  CHECK(session.output_moments.at("y").mean == std::vector<double>{3});
  CHECK(session.corrected_biases.empty());
}
