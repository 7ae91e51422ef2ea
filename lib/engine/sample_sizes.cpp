#include "lib/engine/sample_sizes.h"

#include <algorithm>

namespace roundel::engine {
namespace {

using Inputs = std::vector<std::optional<Sizes>>;

std::optional<Sizes> Picked(const Sizes& from, const Sizes& places) {
  Sizes picked;
  for (const int64_t place : places) {
    const int64_t at = place < 0 ? place + std::ssize(from) : place;
    if (at < 0 || at >= std::ssize(from)) return std::nullopt;
    picked.push_back(from[static_cast<size_t>(at)]);
  }
  return picked;
}

// Slice(data, starts, ends, axes, steps) of a vector.
std::optional<Sizes> Cut(const Inputs& inputs) {
  const Sizes& from = *inputs[0];
  const auto size = std::ssize(from);
  for (const size_t i : {1, 2})
    if (inputs.size() <= i || !inputs[i] || inputs[i]->size() != 1 || (*inputs[i])[0] <= kOther)
      return std::nullopt;
  if (inputs.size() > 4 && inputs[4] != Sizes{1}) return std::nullopt;
  const auto place = [&](size_t i) {
    const int64_t at = (*inputs[i])[0];
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const int64_t first = place(1), last = std::max(first, place(2));
  return Sizes(from.begin() + first, from.begin() + last);
}

std::optional<Sizes> Joined(const Inputs& inputs) {
  Sizes joined;
  for (const auto& part : inputs) {
    if (!part) return std::nullopt;
    joined.insert(joined.end(), part->begin(), part->end());
  }
  return joined;
}

std::optional<Sizes> Calculated(const Inputs& inputs) {
  size_t length = 0;
  for (const auto& part : inputs) {
    if (!part || HaveSamples(*part)) return std::nullopt;
    length = std::max(length, part->size());
  }
  return Sizes(length, kOther);
}

}  // namespace

bool HaveSamples(const Sizes& sizes, size_t begin) {
  return begin < sizes.size() && std::find(sizes.begin() + static_cast<int64_t>(begin), sizes.end(),
                                           kSamples) != sizes.end();
}

bool AreOfBatch(const std::optional<Sizes>& sizes) {
  return sizes && !sizes->empty() && sizes->front() == kSamples && !HaveSamples(*sizes, 1);
}

std::optional<Sizes> ComputeSizes(const std::string& op, const Inputs& inputs) {
  if (inputs.empty()) return std::nullopt;
  if (op == "Concat") return Joined(inputs);
  if (op == "Mul" || op == "Add" || op == "Sub" || op == "Div") return Calculated(inputs);
  if (!inputs[0]) return std::nullopt;
  if (op == "Cast" || op == "Identity" || op == "Unsqueeze" || op == "Squeeze" || op == "Reshape")
    return inputs[0];
  if (op == "Gather" && inputs.size() > 1 && inputs[1]) return Picked(*inputs[0], *inputs[1]);
  return op == "Slice" ? Cut(inputs) : std::nullopt;
}

}  // namespace roundel::engine
