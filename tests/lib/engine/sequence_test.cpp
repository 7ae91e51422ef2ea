// Sequences of tensors, by examples of the operator specification and by hostile calls.

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

Tensor Vector(const std::vector<float>& values) {
  return Tensor::FromVector<float>({static_cast<int64_t>(values.size())}, values);
}
Tensor Int(int64_t value) { return Tensor::Scalar<int64_t>(value); }

// The only output of `call`, which reads a, b and c.
Result<Datum> RunCall(const std::string& call, std::vector<Datum> inputs) {
  const graph::Model model =
      ParseModel("opset 18\ngraph g (? a, ? b, ? c) => (? y) { y = " + call + " }");
  inputs.resize(3);
  auto executor = Executor::Create(model);
  if (!executor.ok()) return executor.status();
  auto outputs = (*executor)->RunAny(inputs);
  if (!outputs.ok()) return outputs.status();
  return (*outputs)[0];
}

std::vector<Tensor> MustGive(const std::string& call, std::vector<Datum> inputs) {
  auto result = RunCall(call, std::move(inputs));
  INFO(call << (result.ok() ? "" : result.status().message()));
  REQUIRE(result.ok());
  return result->items ? *result->items : std::vector<Tensor>{result->tensor};
}

void CheckFails(const std::string& call, std::vector<Datum> inputs, const std::string& expected) {
  const auto result = RunCall(call, std::move(inputs));
  INFO(call);
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  CHECK_THAT(result.status().message(), Catch::Contains(expected));
}

const Tensor kA = Vector({1}), kB = Vector({2, 3}), kC = Vector({4, 5, 6});
const Datum kTwo = Datum::Sequence({kA, kB});

TEST_CASE("sequences: insert, erase, at, length") {
  using Items = std::vector<Tensor>;
  CHECK(MustGive("SequenceConstruct(a, b)", {kA, kB}) == Items{kA, kB});
  CHECK(MustGive("SequenceEmpty()", {}).empty());
  CHECK(MustGive("SequenceInsert(a, b)", {kTwo, kC}) == Items{kA, kB, kC});
  CHECK(MustGive("SequenceInsert(a, b, c)", {kTwo, kC, Int(0)}) == Items{kC, kA, kB});
  CHECK(MustGive("SequenceInsert(a, b, c)", {kTwo, kC, Int(2)}) == Items{kA, kB, kC});
  CHECK(MustGive("SequenceInsert(a, b, c)", {kTwo, kC, Int(-1)}) == Items{kA, kC, kB});
  CHECK(MustGive("SequenceErase(a)", {kTwo}) == Items{kA});
  CHECK(MustGive("SequenceErase(a, b)", {kTwo, Int(-2)}) == Items{kB});
  CHECK(MustGive("SequenceAt(a, b)", {kTwo, Int(-1)}) == Items{kB});
  CHECK(MustGive("SequenceLength(a)", {kTwo}) == Items{Int(2)});
  CheckFails("SequenceInsert(a, b, c)", {kTwo, kC, Int(3)}, "position 3");
  CheckFails("SequenceInsert(a, b, c)", {kTwo, kC, Int(-3)}, "position -3");
  CheckFails("SequenceInsert(a, b)", {kTwo, Int(1)}, "cannot hold int64");
  CheckFails("SequenceAt(a, b)", {kTwo, Int(2)}, "position 2");
  CheckFails("SequenceErase(a)", {Datum::Sequence({})}, "a sequence of 0 items");
  CheckFails("SequenceLength(a)", {kA}, "not a sequence");
  CheckFails("Add(a, b)", {kTwo, kA}, "input 0 is a sequence");
  CheckFails("Clip(a, b)", {kA, kTwo}, "input 1 is a sequence");
  CheckFails("OptionalGetElement(a)", {Datum()}, "optional is empty");
}

TEST_CASE("sequences: split and join") {
  using Items = std::vector<Tensor>;
  const Tensor x = Tensor::FromVector<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor left = Tensor::FromVector<float>({2, 2}, {1, 2, 4, 5});
  const Tensor right = Tensor::FromVector<float>({2, 1}, {3, 6});
  CHECK(MustGive("SplitToSequence<axis=1>(a, b)", {x, Int(2)}) == Items{left, right});
  CHECK(MustGive("SplitToSequence<axis=-1>(a, b)", {x, Tensor::FromVector<int64_t>({2}, {2, 1})}) ==
        Items{left, right});
  CHECK(MustGive("SplitToSequence<keepdims=0>(a)", {x}) ==
        Items{Vector({1, 2, 3}), Vector({4, 5, 6})});
  const Datum parts = Datum::Sequence({left, right});
  CHECK(MustGive("ConcatFromSequence<axis=1>(a)", {parts}) == Items{x});
  const Datum rows = Datum::Sequence({Vector({1, 2, 3}), Vector({4, 5, 6})});
  CHECK(MustGive("ConcatFromSequence<axis=0, new_axis=1>(a)", {rows}) == Items{x});
  CHECK(MustGive("ConcatFromSequence<axis=-1, new_axis=1>(a)", {rows}) ==
        Items{Tensor::FromVector<float>({3, 2}, {1, 4, 2, 5, 3, 6})});
  CheckFails("ConcatFromSequence<axis=0>(a)", {parts}, "cannot concatenate");
  CheckFails("ConcatFromSequence<axis=0>(a)", {Datum::Sequence({})}, "empty");
  CheckFails("SplitToSequence(a, b)", {x, Int(0)}, "parts of 0");
  CheckFails("SplitToSequence(a, b)", {x, Tensor::FromVector<int64_t>({2}, {3, -1})},
             "does not add up");
  CheckFails("SplitToSequence(a)", {Tensor::Zeros(DType::kFloat, {int64_t{1} << 40, 0})},
             "exceeds the limit");
}

TEST_CASE("sequence operators answer hostile calls with a result or a model error") {
  Random random(7);
  const auto tensor = [&]() -> Tensor {
    static const std::vector<Shape> kShapes = {{}, {0}, {1}, {2}, {2, 3}, {0, 3}, {2, 2}};
    const Shape& shape = kShapes[random.Below(kShapes.size())];
    if (random.Below(8) == 0)
      return Tensor::Strings(shape, std::vector<std::string>(NumElements(shape), "a"));
    if (random.Below(2) == 0) return RandomTensor(shape, random.Next());
    Tensor integers = Tensor::Zeros(DType::kInt64, shape);
    static const std::vector<int64_t> kValues = {0, 1, 2, -1, -2, INT64_MAX, INT64_MIN};
    for (int64_t i = 0; i < integers.size(); ++i)
      integers.mutable_data<int64_t>()[i] = kValues[random.Below(kValues.size())];
    return integers;
  };
  const auto datum = [&]() -> Datum {
    if (random.Below(6) == 0) return {};
    if (random.Below(2) == 0) return tensor();
    std::vector<Tensor> items;
    for (size_t i = random.Below(3); i > 0; --i)
      items.push_back(items.empty() || random.Below(3) == 0 ? tensor() : items[0]);
    return Datum::Sequence(items);
  };
  int succeeded = 0;
  for (const char* op :
       {"SequenceConstruct", "SequenceInsert", "SequenceErase", "SequenceAt", "SequenceLength",
        "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement",
        "OptionalHasElement", "Identity", "If", "Loop", "Scan", "SequenceMap", "Add", "Concat"})
    for (int round = 0; round < 150; ++round) {
      const std::vector<std::string> arguments = {"(a)", "(a, b)", "(a, b, c)", "()", "(\"\", a)"};
      const std::string call = StrCat(
          op, "<axis=", static_cast<int64_t>(random.Below(6)) - 3, ", new_axis=", random.Below(2),
          ", keepdims=", random.Below(2), ">", arguments[random.Below(arguments.size())]);
      INFO(call);
      const auto result = RunCall(call, {datum(), datum(), datum()});
      succeeded += result.ok();
      if (result.ok()) continue;
      CHECK(result.status().kind() == ErrorKind::kModel);
      CHECK_FALSE(result.status().message().empty());
    }
  CHECK(succeeded > 300);
}

}  // namespace
}  // namespace roundel::engine
