#pragma once
// Flattens the bodies of If, Loop, Scan and SequenceMap into the graph around them, so that passes
// find all layers and values in one list of nodes, and restores them.
//
//   y = If(c) {then: t = Relu(x)} {else: e = Neg(x)}
//
// becomes
//
//   t = Relu(x)    e = Neg(x)    y = If(c, t, e)
//
// A body with inputs gets a node roundel.body.BodyInputs before it, which produces them from
// the inputs of the control-flow node. A flat graph cannot be run.

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

inline constexpr const char* kBodyDomain = "roundel.body";  // of BodyInputs
// Attributes of nodes in a flat graph: the scope of the node, and the names of its attributes that
// hold bodies.
inline constexpr const char* kScopeTag = "roundel.scope";
inline constexpr const char* kBodiesTag = "roundel.bodies";
inline constexpr const char* kEntryTag = "roundel.entry";  // on BodyInputs made by FlattenBodies

// The parts of bodies that a flat graph cannot hold.
struct Bodies {
  struct Body {
    std::string name, doc_string, unknown;
    std::vector<ValueInfo> inputs, outputs;
    std::vector<Initializer> defaults;  // of inputs
    int around = 0;                     // the scope of the control-flow node
    bool repeats = false;               // body of a Loop or Scan
  };
  std::vector<Body> bodies;                    // of scopes 1, 2, ...; scope 0 is the model's graph
  std::unordered_map<std::string, int> homes;  // scope of each value
  std::unordered_set<std::string> constants;   // the values that are initializers
  std::unordered_set<std::string> declared;    // values with a value_info for the flat graph only
};

// Gives every value inside bodies a name that is unique in the model. ONNX allows two bodies to use
// the same names, but tables of values are keyed by name. Unique names are kept.
void MakeNamesUnique(Model* model);

bool HasBodies(const Graph& graph);

// Works in place; calls MakeNamesUnique first.
Bodies FlattenBodies(Model* model);
// Works in place. New nodes and initializers of the flat graph go to the scope that reads them; a
// node that writes a former value goes to the scope of that value. A new DequantizeLinear is copied
// to every body that reads it, because runtimes fuse within one graph. Equal large constants of
// bodies are merged if `unite_constants`.
void RestoreBodies(const Bodies& bodies, Model* model, bool unite_constants = true);

// The flat graph, read-only; the model's own graph if there are no bodies.
std::shared_ptr<Graph> WithBodies(const Model& model);
// Graph::Constant, also inside bodies.
const Tensor* ConstantInBodies(const Graph& graph, const std::string& name);

}  // namespace roundel::graph
