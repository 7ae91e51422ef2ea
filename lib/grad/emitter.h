#pragma once
// What a gradient rule sees: the node, the gradients of its results, and functions that emit nodes.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::grad {

class Emitter {
 public:
  using Attributes = std::vector<std::pair<std::string, graph::Attribute::Value>>;

  explicit Emitter(graph::Model* model);

  // ---- the node of the current rule
  const graph::Node& node() const { return *node_; }
  const std::string& input(size_t i) const { return node_->input(i); }
  const std::string& output(size_t i = 0) const { return node_->output(i); }
  const graph::Graph& graph() const { return *model_->graph; }
  // Version of the default domain in the model.
  int64_t opset() const { return model_->Opset(); }
  // True if input i is on a path to the values whose gradients are wanted.
  bool wants(size_t i) const { return i < wanted_.size() && wanted_[i]; }
  // The gradient of result i; "" if the loss does not depend on it.
  std::string dy(size_t i = 0) const { return i < dy_.size() ? dy_[i] : ""; }
  // The rank of a forward value, if it is known.
  std::optional<int64_t> Rank(const std::string& value) const;

  // ---- emitting nodes
  // An operator of ONNX with one result, whose name is returned.
  std::string Op(const std::string& type, std::vector<std::string> inputs,
                 const Attributes& attributes = {}, const std::string& domain = "");
  // An operator of the domain "roundel" with the attributes of the current node and the version of its
  // operator set, `forward_opset`.
  std::string Own(const std::string& type, std::vector<std::string> inputs);
  // The same with several results, of which those that are not wanted are left out ("").
  std::vector<std::string> Own(const std::string& type, std::vector<std::string> inputs,
                               const std::vector<bool>& results);
  // The same with other attributes.
  std::vector<std::string> Own(const std::string& type, std::vector<std::string> inputs,
                               const std::vector<bool>& results, const Attributes& attributes);
  // A constant: one number of no axes, or a tensor.
  std::string Constant(float value);
  std::string Constant(const std::string& base, Tensor value);
  // A tensor in the shape of `like`, all elements `value`.
  std::string FillLike(const std::string& like, float value);
  // dy summed over the axes along which `value` was broadcast.
  std::string SumTo(const std::string& dy, const std::string& value);

  // ---- results: adds `gradient` to the gradient of input i
  void Add(size_t i, const std::string& gradient) { AddTo(input(i), gradient); }
  void AddTo(const std::string& value, const std::string& gradient);
  // Those of the first inputs from results of an operator that gives them all; "" is no gradient.
  void AddAll(const std::vector<std::string>& gradients);
  // By input: whether it is wanted, for the results of such an operator.
  const std::vector<bool>& wanted() const { return wanted_; }

  // ---- for Backward
  void Begin(const graph::Node* node, std::vector<bool> wanted);
  // The sum of what rules have added for `value`; "" if nothing.
  std::string Total(const std::string& value);
  // Appends the nodes and the imports that they need.
  void Finish();

 private:
  std::string Fresh(const std::string& base);
  graph::Node* NewNode(const std::string& type, const std::string& domain,
                       std::vector<std::string> inputs);

  graph::Model* model_;
  const graph::Node* node_ = nullptr;
  std::vector<bool> wanted_;
  std::vector<std::string> dy_;
  std::map<std::string, std::vector<std::string>> parts_;  // value -> summands of its gradient
  std::map<float, std::string> numbers_;
  std::vector<graph::Node> nodes_;
  std::set<std::string> names_;
};

}  // namespace roundel::grad
