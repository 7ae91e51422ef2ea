#pragma once
// An entry of an encodings file of any version, and its completion by the graph.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::io {

// Errors: kUsage, with the known versions.
Status CheckVersion(const std::string& version);
bool IsVersion2(const std::string& version);  // named after ONNX's operators, one list

// The contents of the entry. Fields that its version does not have are nullopt.
struct EncodingEntry {
  int bits = 0;
  std::optional<quant::Grid> floats;  // instead of integers
  bool is_signed = false, symmetric = false;
  std::optional<bool> narrow;
  quant::Granularity granularity = quant::Granularity::kTensor;
  std::optional<int64_t> axis;
  int64_t block_size = 0;
  std::vector<double> scales;
  std::vector<int64_t> zero_points;  // of the grid with `is_signed`
  std::optional<Shape> scale_shape;  // 2.0.0; the flat lists of 1.0.0 are ordered (channel, block)
  // The kind of scales that the file stores as codes with scales; kFloat if they do not fit it.
  quant::ScaleKind scale_kind = quant::ScaleKind::kFloat;
  std::optional<int64_t> channels;  // channel axis of flat lists of blocks
  std::optional<bool> is_param;     // the section of the file
};

// Errors: kUsage for a width without a grid.
Status SetBits(int64_t bits, EncodingEntry* entry);

// The grid of small floats with codes of this type; nullopt for other types.
std::optional<quant::Grid> FloatsOf(DType type);

// The same levels with positive scales: those of a negative scale are one step higher. Codes are
// unchanged, for other readers.
quant::Encoding PositiveScales(const quant::Encoding& encoding);

// Sets zero points and sign from the offsets of 0.6.1 and 1.0.0, which count from unsigned codes:
// symmetric grids read as signed, others as unsigned, 32 bits always as signed.
Status SetOffsets(std::vector<int64_t> offsets, EncodingEntry* entry);
// The inverse.
int64_t OffsetOf(const quant::Grid& grid, const quant::QParams& params);

// Errors: kUsage if the entry does not fit the value `name` of the graph.
Result<quant::Encoding> CompleteEntry(const EncodingEntry& entry, const std::string& name,
                                      const graph::Graph& graph);

// For each scale of 1.0.0's flat list, ordered (channel, block), its index in Encoding::params,
// which are ordered by the value's axes; `scales` is their shape. Errors: kUsage if more than two
// axes have several scales.
Result<std::vector<size_t>> BlockOrder(const quant::Encoding& encoding, const Shape& scales);

}  // namespace roundel::io
