#include "lib/engine/sample_sizes.h"

#include <algorithm>

namespace roundel::engine {
namespace {

using Inputs = std::vector<std::optional<RankedSizes>>;

bool IsKnown(int64_t number) { return number > kOther; }

std::optional<RankedSizes> Picked(const RankedSizes& from, const RankedSizes& places) {
  RankedSizes picked{{}, from.rank - 1 + places.rank};
  for (const int64_t place : places.numbers) {
    const int64_t at = place < 0 ? place + std::ssize(from.numbers) : place;
    if (!IsKnown(place) || at < 0 || at >= std::ssize(from.numbers)) return std::nullopt;
    picked.numbers.push_back(from.numbers[static_cast<size_t>(at)]);
  }
  return picked;
}

// A single number, from an attribute or an input, that is an index.
std::optional<int64_t> IndexAt(const graph::Node& node, const char* attribute, const Inputs& inputs,
                               size_t i) {
  const Sizes given = node.Ints(attribute);
  if (given.size() == 1) return given[0];
  if (i >= inputs.size() || !inputs[i] || inputs[i]->numbers.size() != 1) return std::nullopt;
  const int64_t number = inputs[i]->numbers[0];
  return IsKnown(number) ? std::optional(number) : std::nullopt;
}

// Slice(data, starts, ends, axes, steps) of a vector.
std::optional<RankedSizes> Cut(const graph::Node& node, const Inputs& inputs) {
  const Sizes& from = inputs[0]->numbers;
  const auto size = std::ssize(from);
  const auto start = IndexAt(node, "starts", inputs, 1), end = IndexAt(node, "ends", inputs, 2);
  if (!start || !end) return std::nullopt;
  if (inputs.size() > 4 && (!inputs[4] || inputs[4]->numbers != Sizes{1})) return std::nullopt;
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const int64_t first = place(*start), last = std::max(first, place(*end));
  return RankedSizes{Sizes(from.begin() + first, from.begin() + last)};
}

std::optional<RankedSizes> Joined(const Inputs& inputs) {
  RankedSizes joined;
  for (const auto& part : inputs) {
    if (!part) return std::nullopt;
    joined.numbers.insert(joined.numbers.end(), part->numbers.begin(), part->numbers.end());
  }
  return joined;
}

// Numbers of one element; nullopt if a result would depend on the number of samples.
using Rule = std::optional<int64_t> (*)(const std::vector<int64_t>&);

std::optional<int64_t> Unknown(const std::vector<int64_t>& x) {
  const bool samples = std::find(x.begin(), x.end(), kSamples) != x.end();
  return samples ? std::nullopt : std::optional<int64_t>(kOther);
}
std::optional<int64_t> Product(const std::vector<int64_t>& x) {
  int64_t product = 0;
  if (x.size() == 2 && IsKnown(x[0]) && IsKnown(x[1]) &&
      !__builtin_mul_overflow(x[0], x[1], &product))
    return product;
  // A product of the number of samples and a size.
  if (x.size() == 2 && ((x[0] == kSamples && x[1] > 0) || (x[1] == kSamples && x[0] > 0)))
    return kSamples;
  return Unknown(x);
}
std::optional<int64_t> Equality(const std::vector<int64_t>& x) {
  if (x.size() == 2 && IsKnown(x[0]) && IsKnown(x[1])) return x[0] == x[1];
  // -1, the mark of a size to be inferred, is not a number of samples.
  if (x.size() == 2 && ((x[0] == kSamples && IsKnown(x[1]) && x[1] < 0) ||
                        (x[1] == kSamples && IsKnown(x[0]) && x[0] < 0)))
    return 0;
  return Unknown(x);
}
std::optional<int64_t> Choice(const std::vector<int64_t>& x) {
  if (x.size() != 3 || x[0] == kSamples) return std::nullopt;
  if (IsKnown(x[0])) return x[0] != 0 ? x[1] : x[2];
  return x[1] == x[2] ? x[1] : Unknown(x);
}

std::optional<RankedSizes> ElementWise(const Inputs& inputs, Rule rule) {
  size_t length = 1;
  RankedSizes made{{}, 0};
  for (const auto& part : inputs) {
    if (!part) return std::nullopt;
    if (part->numbers.size() != 1) length = part->numbers.size();
    made.rank = std::max(made.rank, part->rank);
  }
  for (size_t i = 0; i < length; ++i) {
    std::vector<int64_t> at;
    for (const auto& part : inputs) {
      if (part->numbers.size() != 1 && part->numbers.size() != length) return std::nullopt;
      at.push_back(part->numbers[part->numbers.size() == 1 ? 0 : i]);
    }
    const auto number = rule(at);
    if (!number) return std::nullopt;
    made.numbers.push_back(*number);
  }
  return made;
}

// A vector of equal numbers, of known length.
std::optional<RankedSizes> Filled(const graph::Node& node, const RankedSizes& length) {
  if (length.rank != 1 || length.numbers.size() != 1 || !IsKnown(length.numbers[0]) ||
      length.numbers[0] < 0 || length.numbers[0] > kMaxSizes)
    return std::nullopt;
  int64_t number = 0;
  if (const graph::Attribute* value = node.FindAttribute("value")) {
    const Tensor* tensor = std::get_if<Tensor>(&value->value);
    if (!tensor || !IsInteger(tensor->dtype()) || tensor->size() != 1) return std::nullopt;
    number = tensor->ToInt64s()[0];
  } else {
    return std::nullopt;  // floats are not sizes
  }
  return RankedSizes{Sizes(static_cast<size_t>(length.numbers[0]), number)};
}

// The same numbers at another rank; nullopt if the rank exceeds 1.
std::optional<RankedSizes> Reranked(RankedSizes sizes, int64_t rank) {
  if (rank < 0 || rank > 1 || (rank == 0 && sizes.numbers.size() != 1)) return std::nullopt;
  sizes.rank = rank;
  return sizes;
}

Rule RuleOf(const std::string& op) {
  if (op == "Mul") return Product;
  if (op == "Equal") return Equality;
  if (op == "Where") return Choice;
  for (const char* known :
       {"Add", "Sub", "Div", "Mod", "Min", "Max", "Neg", "Floor", "Ceil", "Sqrt", "Less", "Greater",
        "LessOrEqual", "GreaterOrEqual", "Not", "And", "Or"})
    if (op == known) return Unknown;
  return nullptr;
}

}  // namespace

bool HaveSamples(const Sizes& sizes, size_t begin) {
  return begin < sizes.size() && std::find(sizes.begin() + static_cast<int64_t>(begin), sizes.end(),
                                           kSamples) != sizes.end();
}

bool AreOfBatch(const std::optional<Sizes>& sizes) {
  return sizes && !sizes->empty() && sizes->front() == kSamples && !HaveSamples(*sizes, 1);
}

Sizes ShapePart(const graph::Node& node, const Sizes& shape) {
  const int64_t rank = std::ssize(shape);
  const auto place = [&](const char* name, int64_t fallback) {
    const int64_t at = node.Int(name, fallback);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t first = place("start", 0), last = std::max(first, place("end", rank));
  return Sizes(shape.begin() + first, shape.begin() + last);
}

std::optional<RankedSizes> ComputeSizes(const graph::Node& node, const Inputs& inputs) {
  const std::string& op = node.op_type;
  if (inputs.empty()) return std::nullopt;
  if (op == "Concat") return Joined(inputs);
  if (const Rule rule = RuleOf(op)) return ElementWise(inputs, rule);
  if (!inputs[0]) return std::nullopt;
  const RankedSizes& first = *inputs[0];
  if (op == "Cast" || op == "Identity") return first;
  if (op == "Shape")
    return RankedSizes{
        ShapePart(node, first.rank == 0 ? Sizes{} : Sizes{std::ssize(first.numbers)})};
  if (op == "ConstantOfShape") return Filled(node, first);
  if (op == "Unsqueeze") {
    const int64_t axes = inputs.size() > 1 && inputs[1] ? std::ssize(inputs[1]->numbers)
                                                        : std::ssize(node.Ints("axes"));
    return Reranked(first, first.rank + axes);
  }
  if (op == "Squeeze") return Reranked(first, first.numbers.size() == 1 ? 0 : 1);
  if (op == "Reshape")
    return inputs.size() > 1 && inputs[1] ? Reranked(first, std::ssize(inputs[1]->numbers))
                                          : std::nullopt;
  if (op == "Gather" && inputs.size() > 1 && inputs[1]) return Picked(first, *inputs[1]);
  return op == "Slice" ? Cut(node, inputs) : std::nullopt;
}

}  // namespace roundel::engine
