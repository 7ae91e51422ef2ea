#pragma once
// QuantizeLinear/DequantizeLinear form: from float graph + encodings to QDQ, and back. Names and
// arithmetic follow ONNX Runtime's quantizer, so that debugging tools recognize them.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/targets/float_types.h"
#include "lib/targets/profile.h"

namespace roundel::target {

struct QdqOptions {
  // Drops Relu/Clip nodes if the quantizer after them clamps equally (Profile::absorb_relu).
  bool absorb_relu = true;
  // Writes 16/4-bit and blocked Q/DQ in com.microsoft if the opset cannot be raised to 21.
  bool contrib_qdq = false;
  // Writes power-of-two scales as float8e8m0 (Profile::e8m0_scales), a quarter of a float32.
  bool e8m0_scales = false;
  // Profile::quantizes_between_pairs, and Profile::max_channel_rank of MatMul; 0: any rank.
  bool quantizes_between_pairs = false;
  int64_t matmul_channel_rank = 0;
  // Raises older models to this opset if possible (Profile::min_opset).
  int64_t min_opset = 0;
};

// Weights and biases become integer initializers with a DequantizeLinear; activations get one
// QuantizeLinear -> DequantizeLinear pair; graph input and output names are kept. Raises the opset
// as the grids require. `model` is the float model of `encodings`, and is not changed.
Result<graph::Model> ExportQdq(const graph::Model& model, const quant::EncodingTable& encodings,
                               const QdqOptions& options);

// Checks that the table fits the model and can be written; ExportQdq does so itself.
Status CheckExportable(const graph::Model& model, const quant::EncodingTable& encodings);

struct FloatModel {
  graph::Model model;              // no Q/DQ; weights hold the dequantized values
  quant::EncodingTable encodings;  // including codes of weights and biases
  FloatTypes types = {};           // of the values in the file; the model is in float32
};
// Lines about operators that compute on codes, in the list `kept`, continue with these words after
// the name of the node.
inline constexpr const char* kKeptForReader = "its codes are used by ";
inline constexpr const char* kKeptForSource = "its input is neither constant nor a QuantizeLinear";
// kSmall: large constants get neither codes nor values and their memory is not read. It suffices
// where only shapes and grids are needed.
enum class ImportValues { kAll, kSmall };
// Reads QDQ models of any tool. Q and DQ nodes that cannot be expressed as an encoding (dynamic
// scales) stay in the model, with a line in `kept`.
Result<FloatModel> ImportQdq(const graph::Model& model, std::vector<std::string>* kept = nullptr,
                             ImportValues values = ImportValues::kAll);

}  // namespace roundel::target
