#pragma once
// Operators of com.microsoft that quantize their input at run time.

#include "lib/targets/dynamic_writing.h"

namespace roundel::target {

// Both return false, and write nothing, if the encodings of the weights do not allow it.

// LSTM -> DynamicQuantizeLSTM.
bool WriteLstm(DynamicWriting& s, const graph::Node& node);

// Attention -> DynamicQuantizeLinear and QAttention.
bool WriteAttention(DynamicWriting& s, const graph::Node& node);

}  // namespace roundel::target
