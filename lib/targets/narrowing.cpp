#include "lib/targets/narrowing.h"

#include "lib/graph/widen.h"
#include "lib/targets/half_range.h"

namespace roundel::target {

using graph::Graph;
using graph::Node;

namespace {

// Constants up to this size are stored in two types; larger ones are cast in each run.
constexpr int64_t kSmall = 64;

}  // namespace

Narrowing::Narrowing(const Graph& graph, Narrowing* outer, NarrowContext* context)
    : g(graph),
      outer(outer),
      context(*context),
      nodes(g, outer != nullptr, context->types, context->now, context->options, context->opset),
      made(EmptyCopy(g)) {}

bool Narrowing::IsFloat(const std::string& value) const {
  const auto type = context.now.find(value);
  return !value.empty() && type != context.now.end() && type->second == DType::kFloat;
}

DType Narrowing::Declared(const std::string& value) const {
  const auto given = outer ? context.types.end() : context.types.find(InterfaceKey(value));
  if (given != context.types.end()) return given->second;
  const auto type = context.types.find(value);
  if (type == context.types.end()) return DType::kFloat;
  return outer ? nodes.Wanted(value) : type->second;
}

DType Narrowing::TypeNow(const std::string& value) const {
  for (const Narrowing* at = this; at; at = at->outer)
    if (const auto type = at->made_types.find(value); type != at->made_types.end())
      return type->second;
  return DType::kUndefined;
}

void Narrowing::Hold(const std::string& value, DType type) {
  held[value] = {{type, value}};
  own[value] = made_types[value] = type;
}

Narrowing* Narrowing::Owner(const std::string& value) {
  Narrowing* at = this;
  while (at && !at->held.contains(value) && !at->constants.contains(value)) at = at->outer;
  return at;
}

std::string Narrowing::Read(const std::string& value, DType type, const Node& reader) {
  Narrowing* owner = Owner(value);
  return owner ? owner->As(value, type, reader) : value;
}

std::string Narrowing::As(const std::string& value, DType type, const Node& reader) {
  if (const auto constant = constants.find(value); constant != constants.end())
    return AsConstant(value, constant->second,
                      type == DType::kUndefined ? nodes.Wanted(value) : type, reader);
  Names& names = held.at(value);
  const std::string source = names.at(own.at(value));
  if (type == DType::kUndefined) return source;
  if (const auto name = names.find(type); name != names.end()) return name->second;
  const std::string cast = context.names.Fresh(NarrowName(value, type));
  AddCast(source, cast, type);
  return names[type] = cast;
}

std::string Narrowing::AsConstant(const std::string& value, const Tensor& floats, DType type,
                                  const Node& reader) {
  Names& names = held_constants[value];
  if (const auto name = names.find(type); name != names.end()) return name->second;
  const std::string name = names.empty() ? value : context.names.Fresh(NarrowName(value, type));
  const DType stored = StoredType(value, floats, type);
  if (stored == type) {
    made->AddInitializer({.name = name, .value = ClampedTo(reader, floats, type)});
    made_types[name] = type;
  } else {
    const auto other = names.find(stored);
    const std::string from =
        other != names.end() ? other->second : context.names.Fresh(NarrowName(value, stored));
    if (other == names.end())
      made->AddInitializer({.name = from, .value = floats.FromFloatTo(stored)});
    made_types[from] = stored;
    names[stored] = from;
    AddCast(from, name, type);
  }
  return names[type] = name;
}

// Large 16-bit constants that are read as float32 stay in 16 bits: a Cast needs no space in the
// file.
DType Narrowing::StoredType(const std::string& value, const Tensor& floats, DType type) const {
  const auto outside = context.types.find(value);
  if (type != DType::kFloat || floats.size() <= kSmall || outside == context.types.end() ||
      !graph::IsHalf(outside->second))
    return type;
  return floats.FromFloatTo(outside->second).ToFloat() == floats ? outside->second : type;
}

void Narrowing::AddCast(const std::string& from, const std::string& to, DType type) {
  Node node{.name = context.names.Fresh(to + "_Cast"),
            .op_type = "Cast",
            .inputs = {from},
            .outputs = {to}};
  node.SetAttribute("to", static_cast<int64_t>(type));
  made->AddNode(std::move(node));
  made_types[to] = type;
}

}  // namespace roundel::target
