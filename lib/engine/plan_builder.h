#pragma once
// Compiles a graph into a plan. plan_builder.cpp has the sequence of steps, plan_nodes.cpp turns a
// node into a constant, an alias or a step, plan_subgraphs.cpp handles control flow.

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/engine/flatten.h"
#include "lib/engine/node_order.h"
#include "lib/engine/options.h"
#include "lib/engine/plan.h"

namespace roundel::engine {

// A value that a sub-graph captures from outside.
struct Captured {
  std::string name;  // in the sub-graph
  std::optional<Tensor> constant;
  std::optional<quant::Encoding> constant_encoding;
};

// The graph to compile: that of a model, or a sub-graph in it.
struct PlanSource {
  const graph::Model& model;
  const graph::Graph& graph;
  const graph::Function* function = nullptr;  // FlatNode::function
  std::vector<Captured> captured = {};
};

class PlanBuilder {
 public:
  PlanBuilder(PlanSource source, const ExecutorOptions& options, UnfoldBudget* budget)
      : source_(std::move(source)), graph_(source_.graph), options_(options), budget_(*budget) {}

  Result<Plan> Build();

 private:
  // ---- plan_builder.cpp
  void RoundInputs();
  void TakePairs();
  bool IsSource(const std::string& name) const;
  Status FindRoots();
  Status CheckNode(const FlatNode& flat) const;
  const quant::Encoding* EncodingOf(const std::string& name) const;
  int NewSlot(const std::string& name);
  int NewInput(const std::string& name);
  Status NewConstant(const std::string& name, Tensor value);
  Status AddSources();
  // True if the value may have a reader.
  bool Wanted(const std::string& value) const;
  void MakeKernels();
  void FindDeaths();

  // ---- plan_nodes.cpp
  Status AddNode(const FlatNode& flat);
  bool IsIdentity(const PlanNode& node) const;
  Result<bool> Fold(const PlanNode& source);
  void DropDeadNodes();
  void DropUnusedConstants();

  // ---- plan_subgraphs.cpp
  // Adds a node that has sub-graphs.
  Status AddControlNode(const FlatNode& flat, PlanNode node);
  Status CompileSubgraph(const FlatNode& flat, const std::string& attribute,
                         const graph::Graph& graph, PlanNode* node);
  // Adds the values that sub-graphs produce.
  std::unordered_set<std::string> MadeInside() const;
  std::optional<bool> KnownCondition(const PlanNode& node) const;
  Status InlineBranch(const FlatNode& flat, bool condition);
  Status AddBranch(const graph::Graph& branch, const FlatNode& flat);
  Status Rename(const FlatNode& flat, const graph::Graph& branch,
                std::unordered_map<std::string, std::string>* names, std::vector<FlatNode>* nodes);

  const PlanSource source_;
  const graph::Graph& graph_;
  const ExecutorOptions options_;
  UnfoldBudget& budget_;
  std::vector<FlatNode> flat_;
  quant::EncodingTable pairs_;                        // of a model that is already quantized
  std::unordered_map<std::string, size_t> producer_;  // value -> index into flat_
  std::unordered_map<std::string, int> uses_;         // by nodes that are needed
  std::set<std::string> inputs_, outputs_, tapped_;
  std::vector<std::string> output_names_;
  int branches_ = 0;     // inlined so far
  bool unread_ = false;  // some results have lost a reader
  Plan plan_;
};

Result<Plan> BuildPlan(const graph::Model& model, const ExecutorOptions& options);

// "NonMaxSuppression (ai.onnx, opset 11), node 'nms'"
std::string DescribeNode(const graph::Node& node, int64_t opset);

}  // namespace roundel::engine
