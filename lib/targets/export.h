#pragma once
// Exports a float model and its encodings to a model that a runtime loads.

#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/targets/node_types.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

struct ExportOptions {
  std::string format = "qdq";  // lib/targets/formats.h
  QdqOptions qdq;
  std::vector<std::string> dynamic_layers = {};  // Placement::dynamic_layers
  bool rounds_product_inputs = false;  // Profile::rounds_product_inputs, noted in the metadata
  int64_t accuracy_level = 0;          // of MatMulNBits: 0 the runtime's choice, 1 float32, 4 int8
  std::set<std::string> kept_float = {};  // Placement::kept_float
  FloatTypes types = {};                  // of the values in the file, if the model was widened
  NarrowOptions narrow = {};
};

// The export options of a target; `format` overrides that of the profile.
ExportOptions OptionsFor(const Profile& profile, const std::string& format = "");

Result<graph::Model> Export(const graph::Model& model, const quant::EncodingTable& encodings,
                            const ExportOptions& options);

// Blocks of MatMulNBits and GatherBlockQuantized: powers of two from 16 to 256.
inline constexpr int64_t kMinPackedBlock = 16, kMaxPackedBlock = 256;
inline bool IsPackedBlock(int64_t size) {
  return size >= kMinPackedBlock && size <= kMaxPackedBlock && (size & (size - 1)) == 0;
}

// ---- steps that write layers in special forms, in place, and remove their weights from the table;
// ExportQdq writes the rest.

// Layers that write these values quantize their input at run time: DynamicQuantizeLinear and
// MatMulInteger or ConvInteger, for 8-bit weights per tensor or channel.
void WriteDynamic(const std::vector<std::string>& layers, graph::Model* model,
                  quant::EncodingTable* table);

// Some runtimes quantize float nodes between pairs by themselves (Profile::quantizes_between_pairs,
// Profile::max_channel_rank). A Max with one input, which changes no value, between such a node and
// the pair prevents that. ImportQdq removes these nodes.
void KeepFloats(const QdqOptions& options, graph::Model* model);
bool IsKeptFloat(const graph::Node& node);

// Moves the bounds of a Clip to the ends of the grid of the quantizer after it, at most half a
// step further out: ONNX Runtime drops such a Clip, but fails on one that nearly has them.
void WidenClips(graph::Model* model);

}  // namespace roundel::target
