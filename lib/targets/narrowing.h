#pragma once
// One graph while it is rebuilt with its float types: each value in the types that its readers
// need.

#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "lib/targets/graph_edit.h"
#include "lib/targets/node_types.h"

namespace roundel::target {

// What a model and the bodies in it share.
struct NarrowContext {
  const FloatTypes& types;
  const NodeTypes::Types now;  // of the float32 model
  const NarrowOptions& options;
  const int64_t opset;
  NameSet names;
};

struct Narrowing {
  // `outer`: of the graph around a body; nullptr for the main graph.
  Narrowing(const graph::Graph& graph, Narrowing* outer, NarrowContext* context);

  const graph::Graph& g;
  Narrowing* const outer;
  NarrowContext& context;
  NodeTypes nodes;
  std::shared_ptr<graph::Graph> made;
  std::unordered_map<std::string, Tensor> constants;  // float32, added in the types that are read
  using Names = std::map<DType, std::string>;         // of one value, by type
  std::unordered_map<std::string, Names> held, held_constants;
  std::unordered_map<std::string, DType> own;         // the type in which a value was made
  std::unordered_map<std::string, DType> made_types;  // of values of `made`

  bool IsFloat(const std::string& value) const;
  // The type of an input or output of the graph: that of the file for the model, the computed one
  // for a body.
  DType Declared(const std::string& value) const;
  DType TypeNow(const std::string& value) const;
  // Notes that a value exists under its own name in `type`.
  void Hold(const std::string& value, DType type);
  // The value's name in `type` for `reader`; kUndefined: in the type that it has.
  std::string Read(const std::string& value, DType type, const graph::Node& reader);
  void AddCast(const std::string& from, const std::string& to, DType type);

 private:
  Narrowing* Owner(const std::string& value);
  std::string As(const std::string& value, DType type, const graph::Node& reader);
  std::string AsConstant(const std::string& value, const Tensor& floats, DType type,
                         const graph::Node& reader);
  DType StoredType(const std::string& value, const Tensor& floats, DType type) const;
};

}  // namespace roundel::target
