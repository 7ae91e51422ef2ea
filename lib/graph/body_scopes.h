#pragma once
// The scope of every node and constant of a flat graph (bodies.h).

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/graph/bodies.h"

namespace roundel::graph {

// A scope is a graph: 0 the model's, i the body i - 1 of the Bodies.
class BodyScopes {
 public:
  // Requires: both outlive this object.
  BodyScopes(const Bodies& bodies, const Graph& flat);

  struct Placed {
    Node node;
    int scope;
  };
  // All nodes in order, including copies.
  std::vector<Placed>& nodes() { return placed_; }
  int PlaceOf(const Initializer& initializer) const;
  // The name by which nodes of `scope` read a value: they may read a copy.
  std::string NameIn(int scope, const std::string& value) const;
  // The scopes that read a value; empty if nothing does.
  const std::set<int>& Readers(const std::string& value) const;

  // True for a new DequantizeLinear; its output may have the name of a former constant.
  bool IsDequantizer(const Node& node) const;
  // The attributes of a node that hold bodies, and the number of its own inputs.
  static std::vector<std::string> BodyAttributes(const Node& node);
  size_t OwnInputs(const Node& node, const std::vector<std::string>& bodies) const;
  // `base` with a number that makes it unique.
  std::string Fresh(const std::string& base);

 private:
  int Around(int scope) const;
  int Depth(int scope) const;
  int Common(int a, int b) const;
  int CommonReader(const std::vector<std::string>& values) const;
  // The scope that produces a value. A new value belongs to the innermost scope of its operands.
  int HomeOf(const std::string& value) const;
  void FindScopes();
  // Whether a runtime fuses the DequantizeLinear into a reader: its other operands are codes,
  // too. (ONNX Runtime fuses weights with float operands only if their codes are in the same
  // graph.)
  bool ReadNextToCodes(const Node& node) const;
  bool HasCodes(const Node& reader) const;
  // The scope around all loops that contain `scope`.
  int OutOfLoops(int scope) const;
  int ScopeOf(const Node& node) const;
  void Place(Node node, int scope);
  // Adds a copy for each scope that reads the node; the first copy keeps the name.
  void AddCopies(const Node& node);
  const Bodies::Body& BodyOf(int scope) const {
    return bodies_.bodies[static_cast<size_t>(scope - 1)];
  }

  const Bodies& bodies_;
  const Graph& flat_;
  std::unordered_map<std::string, const Node*> producers_;
  std::unordered_map<std::string, std::vector<const Node*>> reading_nodes_;
  std::unordered_map<std::string, std::set<int>> readers_;
  std::vector<Placed> placed_;
  std::map<std::pair<int, std::string>, std::string> copies_;  // by scope and value
  std::unordered_set<std::string> names_;                      // filled by Fresh
};

// Equal large constants of bodies, and new DequantizeLinear nodes of equal constants. Maps each
// value to the value that replaces it.
std::unordered_map<std::string, std::string> FindEqual(const BodyScopes& scopes, const Graph& flat);

}  // namespace roundel::graph
