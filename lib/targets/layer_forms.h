#pragma once
// How the layers of a quantized model run: all are smaller, but only layers on codes are faster.

#include <cstdint>

#include "lib/graph/graph.h"

namespace roundel::target {

// Layers (Conv, ConvTranspose, Gemm, MatMul, recurrent ones and their quantized forms), including
// those of bodies.
struct LayerForms {
  int64_t on_codes = 0;     // computed on integers: between pairs, QLinearConv ...
  int64_t dynamic = 0;      // on integers quantized at run time
  int64_t packed = 0;       // MatMulNBits: the kernel unpacks the weights
  int64_t dequantized = 0;  // in floats, with weights dequantized in every run
  int64_t products = 0;  // of these, whose input ONNX Runtime rounds (lib/graph/rounded_products.h)
  int64_t floats = 0;    // with float weights, or between activations
};

LayerForms CountLayerForms(const graph::Model& model);

}  // namespace roundel::target
