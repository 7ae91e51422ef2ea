#pragma once
// From a float model and its encodings to what a runtime loads.

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
  // "qdq": QuantizeLinear/DequantizeLinear everywhere. "matmulnbits": weights of 2, 4 and 8 bits
  // become MatMulNBits and GatherBlockQuantized of com.microsoft, the rest is QDQ. "qoperator":
  // operators on codes (QLinearConv) where ONNX Runtime has them, the rest is QDQ.
  std::string format = "qdq";
  QdqOptions qdq;
  std::vector<std::string> dynamic_layers = {};  // Placement::dynamic_layers
  bool rounds_product_inputs = false;  // Profile::rounds_product_inputs, noted in the metadata
  int64_t accuracy_level = 0;          // of MatMulNBits: 0 as the runtime likes, 1 float32, 4 int8
  std::set<std::string> kept_float = {};  // Placement::kept_float
  FloatTypes types = {};  // of the values in the file, where the model has been widened
  NarrowOptions narrow = {};
};

// How a target wants its models; `format` where the profile's own is not wanted.
ExportOptions OptionsFor(const Profile& profile, const std::string& format = "");

Result<graph::Model> Export(const graph::Model& model, const quant::EncodingTable& encodings,
                            const ExportOptions& options);

// Blocks of MatMulNBits and GatherBlockQuantized: powers of two from 16 to 256.
inline constexpr int64_t kLeastPackedBlock = 16, kMostPackedBlock = 256;
inline bool IsPackedBlock(int64_t size) {
  return size >= kLeastPackedBlock && size <= kMostPackedBlock && (size & (size - 1)) == 0;
}

// ---- the steps that write layers in a form of their own, in place, and take their weights out of
// the table; what they leave is up to ExportQdq.

// MatMul and Gemm with a constant matrix become MatMulNBits, Gather of a constant table becomes
// GatherBlockQuantized, where the operator can express the encoding of the weight: 2, 4 or 8 bits
// of storage and blocks of a multiple of 16 along the input axis (or no blocks).
void PackBlocks(const ExportOptions& options, graph::Model* model, quant::EncodingTable* table);

// The layers that write these values quantize their input at run time: DynamicQuantizeLinear and
// MatMulInteger or ConvInteger, for 8-bit weights per tensor or channel.
void WriteDynamic(const std::vector<std::string>& layers, graph::Model* model,
                  quant::EncodingTable* table);

// A QDQ model's nodes become operators on codes where all their tensors have 8 bits.
void RewriteToCodes(const QdqOptions& options, graph::Model* model);

// What the runtime would make of float nodes on its own (Profile::quantizes_between_pairs,
// Profile::max_channel_rank) it cannot see through a Max of one input, which changes no value: one
// stands between such a node and the pair beside it. ImportQdq takes them out again.
void KeepFloats(const QdqOptions& options, graph::Model* model);
bool IsKeptFloat(const graph::Node& node);

// Bounds of Clips that a quantizer behind them repeats become the ends of its grid, which are at most
// half a step further out: ONNX Runtime drops such a Clip, and trips over one that is nearly such.
void WidenClips(graph::Model* model);

}  // namespace roundel::target
