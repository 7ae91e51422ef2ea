// Oracle: which nodes read a table's rows, in small models.

#include "lib/tune/tables.h"

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::tune {
namespace {

// `end`: nodes after the first perceptron.
graph::Model Embedded(const std::string& end) {
  return graph::Parse(StrCat(R"(opset 17
graph g (int64[N,4] ids) => (float32[N,4,6] y) {
  float32[10,6] table = random(1)
  float32[6,8] w1 = random(2)
  float32[8,6] w2 = random(3)
  x = Gather(table, ids)
  a = MatMul(x, w1)
  r = Relu(a)
  b = MatMul(r, w2)
  h = Add(x, b)
  float32[6,6] w3 = random(4)
  )",
                             end, "\n}"))
      .value();
}

TEST_CASE("a table belongs to the block that alone reads its rows") {
  const graph::Model model = Embedded("y = MatMul(h, w3)");
  structure::BlockOptions options{.max_layers = 2};
  std::vector<structure::Block> blocks = structure::FindBlocks(model, options);
  REQUIRE(blocks.size() == 2);
  REQUIRE(blocks[0].inputs == std::vector<std::string>{"x"});
  const std::vector<structure::Block> before = blocks;
  JoinTables(*model.graph, {}, &blocks);  // it has no codes
  CHECK(blocks[0].inputs == before[0].inputs);
  JoinTables(*model.graph, {{"table", {}}}, &blocks);
  CHECK(blocks[0].inputs == std::vector<std::string>{"ids"});
  CHECK(blocks[0].weights == std::vector<std::string>{"table", "w1", "w2"});
  REQUIRE(blocks[0].layers.size() == 3);
  CHECK(model.graph->nodes()[blocks[0].layers[0]]->Is("Gather"));
  CHECK(blocks[0].nodes.front() == blocks[0].layers[0]);
  CHECK(blocks[0].nodes.size() == before[0].nodes.size() + 1);
  CHECK(blocks[0].outputs == before[0].outputs);
  CHECK(blocks[1].inputs == before[1].inputs);
}

TEST_CASE("a table whose rows several blocks read, or the caller, belongs to none") {
  for (const char* end :
       {"m = MatMul(h, w3)\n  y = Add(m, x)", "q = Add(h, x)\n  y = MatMul(q, w3)"}) {
    const graph::Model model = Embedded(end);
    std::vector<structure::Block> blocks = structure::FindBlocks(model, {.max_layers = 1});
    JoinTables(*model.graph, {{"table", {}}}, &blocks);
    for (const structure::Block& block : blocks)
      for (const std::string& weight : block.weights) CHECK(weight != "table");
  }
}

}  // namespace
}  // namespace roundel::tune
