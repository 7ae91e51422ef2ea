#include "lib/graph/channel_groups.h"

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

// "a -> b c | blocked": producers, consumers and the obstacle of every group, by node name.
std::vector<std::string> Groups(const std::string& body, const ChannelGroupOptions& options = {}) {
  const auto model =
      Parse(StrCat("opset 13\ngraph g (float32[1,3,8,8] x) => (float32 y) {\n",
                   "float32[4,3,1,1] w = ones\nfloat32[4,4,1,1] v = ones\n", body, "}\n"));
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  std::vector<std::string> lines;
  for (const ChannelGroup& group : FindChannelGroups(*model->graph, 13, options)) {
    std::vector<std::string> producers, consumers;
    for (const WeightedLayer& layer : group.producers) producers.push_back(layer.node->name);
    for (const ChannelConsumer& consumer : group.consumers)
      consumers.push_back(StrCat(consumer.layer.node->name,
                                 consumer.repeat == 1 ? "" : StrCat("*", consumer.repeat)));
    std::string line = StrCat(Join(producers, " "), " -> ", Join(consumers, " "));
    if (!group.clips.empty()) line += StrCat(" clips ", group.clips.size());
    if (!group.bounds.empty()) line += StrCat(" bounds ", group.bounds.size());
    if (!group.blocked.empty()) line += " | " + group.blocked;
    lines.push_back(line);
  }
  return lines;
}
using Lines = std::vector<std::string>;
const std::string kEnd = "[z] y = Conv(q, v)\n";
const std::string kLast = "z ->  | 'y': it is a graph output";

TEST_CASE("a chain is one group per value between layers") {
  CHECK(Groups("[a] p = Conv(x, w)\nr = Relu(p)\n[b] q = Conv(r, v)\n" + kEnd) ==
        Lines{"a -> b", "b -> z", kLast});
}

TEST_CASE("a residual sum joins its branches, unless told not to") {
  const std::string body =
      "[a] p = Conv(x, w)\n[b] s = Conv(p, v)\nt = Add(p, s)\nq = Relu(t)\n" + kEnd;
  CHECK(Groups(body) == Lines{"a b -> b z", kLast});
  CHECK(Groups(body, {.through_branches = false}) ==
        Lines{"a -> b | 'p': Add producing 't' reads it", "b ->  | 's': Add producing 't' reads it",
              kLast});
}

TEST_CASE("an obstacle anywhere blocks the whole group") {
  CHECK(Groups("[a] p = Conv(x, w)\nr = Relu(p)\nh = Sigmoid(r)\n[b] q = Conv(r, v)\n" + kEnd) ==
        Lines{"a -> b | 'r': Sigmoid producing 'h' reads it", "b -> z", kLast});
  // The other operand of a sum comes from elsewhere.
  CHECK(Groups("[a] p = Conv(x, w)\ns = Sigmoid(x)\nq = Add(s, p)\n" + kEnd) ==
        Lines{"a -> z | 's': Sigmoid producing 's' makes it", kLast});
}

TEST_CASE("Clip and Min are listed") {
  const std::string body =
      "float32[] zero = {0}\nfloat32[] six = {6}\n[a] p = Conv(x, w)\nr = Clip(p, zero, six)\n"
      "q = Min(r, six)\n" +
      kEnd;
  CHECK(Groups(body) == Lines{"a -> z clips 1 bounds 1", kLast});
  CHECK(Groups(body, {.through_clips = false}) ==
        Lines{"a ->  | 'p': Clip producing 'r' reads it", kLast});
}

TEST_CASE("positions that Flatten merges repeat the channels") {
  const std::string head = "[a] p = Conv(x, w)\nr = Relu(p)\nf = Flatten(r)\n";
  CHECK(Groups(head + "float32[256,2] g = ones\n[m] y = MatMul(f, g)\n") ==
        Lines{"a -> m*64", "m ->  | 'y': it is a graph output"});
  CHECK(Groups(head + "float32[255,2] g = ones\n[m] y = MatMul(f, g)\n")[0] ==
        "a -> m*63 | 'm' (MatMul) reads another number of channels");
  // A bound behind the Flatten would need one value per position.
  CHECK(Groups(head + "float32[] c = {1}\nn = Min(f, c)\nfloat32[256,2] g = ones\n"
                      "[m] y = MatMul(n, g)\n")[0] ==
        "a -> m*64 bounds 1 | Min producing 'n' has a constant that is not one value per channel");
}

TEST_CASE("channels on different axes are not the same channels") {
  CHECK(Groups("float32[8,4] g = ones\n[a] p = Conv(x, w)\n[m] y = MatMul(p, g)\n")[0] ==
        "a -> m*2 | 'm' (MatMul) reads another number of channels");
  CHECK(Groups("float32[4,4] g = ones\n[a] p = Conv(x, w)\n[m] y = MatMul(p, g)\n")[0] ==
        "a -> m | its channels are on different axes");
  CHECK(Groups("[a] p = Conv(x, w)\n[b] s = Conv(x, v)\nq = Add(p, s)\n" + kEnd) ==
        Lines{"a b -> z", kLast});
  CHECK(Groups("float32[1,3,1,1] u = ones\n[a] p = Conv(x, w)\n[b] s = Conv(x, u)\n"
               "q = Add(p, s)\n" +
               kEnd)[0] == "a b -> z | 'b' (Conv) makes another number of channels");
}

}  // namespace
}  // namespace roundel::graph
