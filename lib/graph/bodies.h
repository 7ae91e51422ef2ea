#pragma once
// The bodies of If, Loop, Scan and SequenceMap laid out in the graph around them, so that whoever
// looks for layers and values finds them all in one list of nodes, and the way back.
//
//   y = If(c) {then: t = Relu(x)} {else: e = Neg(x)}
//
// becomes
//
//   t = Relu(x)    e = Neg(x)    y = If(c, t, e)
//
// and in front of a body with inputs stands a node roundel.body.BodyInputs, which makes them out of
// what its node reads. Nothing runs such a graph.

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

inline constexpr const char* kBodyDomain = "roundel.body";  // of BodyInputs
// Attributes of nodes in a flat graph: the scope that they belong to, and the names of those
// attributes that stand for bodies.
inline constexpr const char* kScopeTag = "roundel.scope";
inline constexpr const char* kBodiesTag = "roundel.bodies";
inline constexpr const char* kEntryTag = "roundel.entry";  // of a BodyInputs that was made here

// What a flat graph does not hold of its bodies.
struct Bodies {
  struct Body {
    std::string name, doc_string, unknown;
    std::vector<ValueInfo> inputs, outputs;
    std::vector<Initializer> defaults;  // of inputs
    int around = 0;                     // the scope of its node
    bool repeats = false;               // a Loop's, a Scan's
  };
  std::vector<Body> bodies;                    // of scopes 1, 2, ...; scope 0 is the model's graph
  std::unordered_map<std::string, int> homes;  // scope of each value
  std::unordered_set<std::string> constants;   // those that are initializers
  std::unordered_set<std::string> told;        // values whose value_info serves the flat graph only
};

// Gives every value inside of bodies a name that no other value of the model has: bodies side by
// side may use the same ones, and tables of values go by name. Names that are unique stay.
void MakeNamesUnique(Model* model);

bool HasBodies(const Graph& graph);

// In place; names become unique first.
Bodies FlattenBodies(Model* model);
// In place; nodes and initializers that have come into the flat graph go where they are read (or,
// if they write a value of old, where that was). A new DequantizeLinear is written into every body
// that reads it: runtimes fuse within one graph. Large constants of bodies that are equal become
// one, unless somebody tells them apart by name.
void RestoreBodies(const Bodies& bodies, Model* model, bool unite_constants = true);

// The flat graph, to look at: the model's own where there are no bodies.
std::shared_ptr<Graph> WithBodies(const Model& model);
// Graph::Constant, also inside of bodies.
const Tensor* ConstantInBodies(const Graph& graph, const std::string& name);

}  // namespace roundel::graph
