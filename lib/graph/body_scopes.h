#pragma once
// Which graph every node and constant of a flat graph (bodies.h) belongs to.

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
  // Both must outlive it.
  BodyScopes(const Bodies& bodies, const Graph& flat);

  struct Placed {
    Node node;
    int scope;
  };
  // All nodes in order, copies among them.
  std::vector<Placed>& nodes() { return placed_; }
  int PlaceOf(const Initializer& initializer) const;
  // What the nodes of `scope` call a value: they may read a copy.
  std::string NameIn(int scope, const std::string& value) const;
  // The scopes that read a value; empty if nothing does.
  const std::set<int>& Readers(const std::string& value) const;

  // A new DequantizeLinear; it may have taken the name of a constant.
  bool IsDequantizer(const Node& node) const;
  // The attributes of a node that stand for bodies, and how many inputs are its own.
  static std::vector<std::string> BodyAttributes(const Node& node);
  size_t OwnInputs(const Node& node, const std::vector<std::string>& bodies) const;
  // `base` with a number behind it that makes it new.
  std::string Fresh(const std::string& base);

 private:
  int Around(int scope) const;
  int Depth(int scope) const;
  int Common(int a, int b) const;
  int CommonReader(const std::vector<std::string>& values) const;
  // Where a value is made: a new one as deep inside as what it is made of.
  int HomeOf(const std::string& value) const;
  void FindScopes();
  // Whether a runtime fuses the DequantizeLinear into a reader, whose other operands are codes,
  // too. (Weights beside floats are taken over where they stand in the graph of their codes; ONNX
  // Runtime does not look for those outside.)
  bool ReadBesideCodes(const Node& node) const;
  bool HasCodes(const Node& reader) const;
  // Around all loops that `scope` lies in.
  int OutOfLoops(int scope) const;
  int ScopeOf(const Node& node) const;
  void Place(Node node, int scope);
  // One for each scope that reads it; the first keeps the name.
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
  std::unordered_set<std::string> names_;                      // all, once Fresh was asked
};

// What bodies have equal: large constants, and new DequantizeLinear nodes of equal constants. By
// value, which other takes its place.
std::unordered_map<std::string, std::string> FindEqual(const BodyScopes& scopes, const Graph& flat);

}  // namespace roundel::graph
