#pragma once
// From a float model and its encodings to what a runtime loads.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/target/qdq.h"

namespace roundel::target {

struct ExportOptions {
  // "qdq": QuantizeLinear/DequantizeLinear everywhere. "matmulnbits": weights of 2, 4 and 8 bits
  // become MatMulNBits and GatherBlockQuantized of com.microsoft, the rest is QDQ.
  std::string format = "qdq";
  QdqOptions qdq;
  int64_t accuracy_level = 0;  // of MatMulNBits: 0 as the runtime likes, 1 float32, 4 int8
};

Result<graph::Model> Export(const graph::Model& model, const quant::EncodingTable& encodings,
                            const ExportOptions& options);

// ---- the steps that write layers in a form of their own, in place, and take their weights out of
// the table; what they leave is up to ExportQdq.

// MatMul and Gemm with a constant matrix become MatMulNBits, Gather of a constant table becomes
// GatherBlockQuantized, where the operator can express the encoding of the weight: 2, 4 or 8 bits
// of storage and blocks of 16, 32, 64 ... along the input axis (or no blocks).
void PackBlocks(const ExportOptions& options, graph::Model* model, quant::EncodingTable* table);

}  // namespace roundel::target
