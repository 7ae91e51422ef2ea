#pragma once
// The floating type in which every node of a graph computes after the types of the file are
// restored (float_types.h).

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

// A node computes in the original type of its values, but in float32 if
//
//   - the operator, the runtime or the scales of its codes support no other type;
//   - it reads the output of such a node on codes: runtimes fuse a DequantizeLinear, a node and a
//     QuantizeLinear into one integer kernel only if all three have float32, although the float
//     type does not matter there;
//   - one of its constants is too large for the type;
//   - it has weights as codes in the body of a Loop or Scan: there ONNX Runtime's optimizer makes
//     products with scales after a Cast, which its kernel reads as zeros.
class NodeTypes {
 public:
  using Types = std::unordered_map<std::string, DType>;
  // `now`: the types of the values in the float32 model. Requires: all outlive this object.
  NodeTypes(const graph::Graph& graph, bool is_body, const FloatTypes& types, const Types& now,
            const NarrowOptions& options, int64_t opset);

  DType Of(const graph::Node& node) const;
  // True for the DequantizeLinear of a bias of a layer that does not compute in float32: there the
  // sum of products is not an integer, so that the bias need not be one.
  bool IsFloatBias(const graph::Node& node) const;
  // The type of the value in the file, if the runtime computes in it.
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
