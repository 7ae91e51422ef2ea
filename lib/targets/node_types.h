#pragma once
// The floating type that every node of a graph computes in when its values get the types of the
// file back (float_types.h).

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/targets/float_types.h"
#include "lib/targets/profile.h"

namespace roundel::target {

struct NarrowOptions {
  // Types besides float32 that the runtime computes in (Profile::float_types), and those that
  // scales of quantized activations may have (Profile::scale_types).
  std::set<DType> computes = {DType::kFloat16, DType::kBfloat16, DType::kDouble};
  std::set<DType> scales = {DType::kFloat16, DType::kBfloat16};
  int64_t max_opset = 0;  // 0: any
};
NarrowOptions NarrowOptionsOf(const Profile& profile);

// A node computes in the type that its values had, except for float32 where
//
//   - the operator, the runtime or the scales of its codes have no other type;
//   - it reads what such a node makes of codes: between a DequantizeLinear and a QuantizeLinear of
//     float32 the float type is one of thought only, and runtimes that turn the three into one
//     integer kernel look for float32;
//   - a constant of it is too large for the type;
//   - it has weights as codes and lies in the body of a Loop or its like: there ONNX Runtime's
//     optimiser makes products with scales behind a Cast, which its kernel reads as zeros.
class NodeTypes {
 public:
  using Types = std::unordered_map<std::string, DType>;
  // `now`: the types of the values in the float32 model. All must outlive this.
  NodeTypes(const graph::Graph& graph, bool is_body, const FloatTypes& types, const Types& now,
            const NarrowOptions& options, int64_t opset);

  DType Of(const graph::Node& node) const;
  // A DequantizeLinear of a bias whose layer does not compute in float32: the sum of products is no
  // integer there, and neither need the bias be.
  bool IsFloatBias(const graph::Node& node) const;
  // What the value had in the file, as far as the runtime computes in it.
  DType Wanted(const std::string& value) const;

 private:
  bool IsFloat(const std::string& value) const;
  DType Natural(const graph::Node& node);
  DType NaturalOf(const graph::Node& node);
  DType OfReaders(const graph::Node& node);
  DType OfInputs(const graph::Node& node);
  bool MustBeFloat32(const graph::Node& node, DType type) const;
  bool QuantizerFits(const graph::Node& node, DType type) const;
  bool ScaleFits(const std::string& scale, int bits, DType type) const;
  bool ReadsFloat32Codes(const graph::Node& node) const;
  bool LeadsToFloat32(const graph::Node& node) const;
  void JoinIslands();
  void SettleConstants();

  const graph::Graph& g_;
  const bool is_body_;
  const FloatTypes& types_;
  const Types& now_;
  const NarrowOptions& options_;
  const int64_t opset_;
  std::unordered_map<const graph::Node*, DType> natural_, final_;
  std::set<const graph::Node*> float_biases_;
};

}  // namespace roundel::target
