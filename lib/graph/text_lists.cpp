#include "lib/graph/text_lists.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace roundel::graph {
namespace {

template <typename T>
bool Collect(const std::vector<Attribute::Value>& items, Attribute::Value* value) {
  std::vector<T> list;
  for (const Attribute::Value& item : items) {
    const T* element = std::get_if<T>(&item);
    if (!element) return false;
    list.push_back(*element);
  }
  *value = std::move(list);
  return true;
}

bool CollectFloats(const std::vector<Attribute::Value>& items, Attribute::Value* value) {
  std::vector<float> list;
  for (const Attribute::Value& item : items) {
    if (const auto* number = std::get_if<float>(&item))
      list.push_back(*number);
    else if (const auto* integer = std::get_if<int64_t>(&item))
      list.push_back(static_cast<float>(*integer));
    else
      return false;
  }
  *value = std::move(list);
  return true;
}

}  // namespace

bool MakeAttributeList(const std::vector<Attribute::Value>& items, Attribute::Value* value) {
  const bool any_float = std::any_of(items.begin(), items.end(), [](const Attribute::Value& item) {
    return std::holds_alternative<float>(item);
  });
  if (any_float) return CollectFloats(items, value);
  return Collect<int64_t>(items, value) || Collect<std::string>(items, value) ||
         Collect<Tensor>(items, value) || Collect<GraphPtr>(items, value);
}

}  // namespace roundel::graph
