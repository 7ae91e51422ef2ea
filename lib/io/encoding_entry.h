#pragma once
// An entry of an encodings file, whatever its version, and how the graph completes it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

// kUsage, with the versions that there are.
Status CheckVersion(const std::string& version);
bool IsVersion2(const std::string& version);  // named after ONNX's operators, one list

// What the file tells. Fields that its version leaves out are nullopt.
struct EncodingEntry {
  int bits = 0;
  std::optional<quant::Grid> floats;  // instead of integers
  bool is_signed = false, symmetric = false;
  std::optional<bool> narrow;
  quant::Granularity granularity = quant::Granularity::kTensor;
  std::optional<int64_t> axis;
  int64_t block_size = 0;
  std::vector<double> scales;
  std::vector<int64_t> zero_points;  // of the grid that `is_signed` tells
  std::optional<Shape> scale_shape;  // 2.0.0; the flat lists of 1.0.0 are ordered (channel, block)
  // Of scales that the file holds as codes with scales of their own; free if they do not fit it.
  quant::ScaleKind scale_kind = quant::ScaleKind::kFloat;
  std::optional<int64_t> channels;  // that flat lists of blocks are ordered by
  std::optional<bool> is_param;     // the section of the file
};

// kUsage for a width that no grid has.
Status SetBits(int64_t bits, EncodingEntry* entry);

// The grid of small floats with codes of this type; nullopt for other types.
std::optional<quant::Grid> FloatsOf(DType type);

// The same levels with positive scales: those of a negative scale lie one step higher. Codes stay as
// they were, for other readers.
quant::Encoding PositiveScales(const quant::Encoding& encoding);

// Sets zero points and sign from the offsets of 0.6.1 and 1.0.0, which count from unsigned codes:
// symmetric grids read as signed, others as unsigned, 32 bits always as signed.
Status SetOffsets(std::vector<int64_t> offsets, EncodingEntry* entry);
// The inverse.
int64_t OffsetOf(const quant::Grid& grid, const quant::QParams& params);

// kUsage where the entry does not fit the value `name` of the graph.
Result<quant::Encoding> CompleteEntry(const EncodingEntry& entry, const std::string& name,
                                      const graph::Graph& graph);

// For each scale of 1.0.0's flat list, ordered (channel, block), its index in Encoding::params,
// which follow the value's axes; `scales` is their shape. kUsage if more than two axes have several
// scales.
Result<std::vector<size_t>> BlockOrder(const quant::Encoding& encoding, const Shape& scales);

}  // namespace roundel::io
