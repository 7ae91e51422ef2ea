#pragma once
// The encodings table: value name -> encoding. It is the only description of the quantization:
// passes edit it, simulation applies it, export writes it to files.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/quant/grid.h"
#include "lib/tensor/tensor.h"

namespace roundel::quant {

enum class Granularity { kTensor, kChannel, kBlock };
enum class Role { kActivation, kWeight, kBias };

struct Encoding {
  Role role = Role::kActivation;
  Grid grid;
  Granularity granularity = Granularity::kTensor;
  int64_t axis = 0;        // kChannel: the channel axis; kBlock: the axis that is cut into blocks
  int64_t block_size = 0;  // kBlock: elements per block along `axis`; the last block may be shorter
  // kTensor: 1 entry. kChannel: shape[axis] entries. kBlock: row-major over the value's shape with
  // shape[axis] replaced by ceil(shape[axis] / block_size).
  std::vector<QParams> params;
  // Codes of weights that a pass has rounded, in the value's shape and in grid.storage_type()
  // (unpacked: int8/uint8/int16/int32 also for widths under 8, uint8 for float4e2m1). They are
  // final: nothing rounds them again.
  std::optional<Tensor> codes;
  std::string decided_by;  // the pass that set it
  bool frozen = false;     // later passes must not change it

  // Index into params of the element at `flat` (row-major) of a value of `shape`.
  int64_t ParamIndex(const Shape& shape, int64_t flat) const;
};

using EncodingTable = std::map<std::string, Encoding>;

// The shape of the scale tensor: {} | {C} | blocks. See Encoding::params.
Shape ScaleShape(const Encoding& encoding, const Shape& value_shape);
// Whether `encoding` fits a value of `shape` (axis in range, number of params).
Status CheckEncoding(const Encoding& encoding, const Shape& shape);

// Codes of a float value, unpacked (int8, uint8, int16, uint16 or int32 by width and sign; of float
// grids the type itself, of float4e2m1 uint8).
Tensor QuantizeTensor(const Tensor& value, const Encoding& encoding);
// The same type of tensor from codes of a solver. Requires: row-major, each within the grid.
Tensor CodesTensor(const std::vector<int64_t>& codes, const Grid& grid, const Shape& shape);
// The inverse; float32.
Tensor DequantizeTensor(const Tensor& codes, const Encoding& encoding);
// DequantizeTensor(codes or QuantizeTensor(value)): the value that a consumer reads.
Tensor FakeQuantizeTensor(const Tensor& value, const Encoding& encoding);
// Unpacked codes -> storage bytes of grid.storage_type() (4 and 2 bits packed, low element first).
Tensor PackCodes(const Tensor& codes, DType storage_type);
Tensor UnpackCodes(const Tensor& packed);

}  // namespace roundel::quant
