#pragma once
// Scales that are codes with separate scales (ScaleKind), in encodings files. Low power blocks
// (LPBQ), y_scale = integer * float of the channel:
//
//   1.0.0   enc_type LPBQ: bw, scale and offset are those of the decompressed grid, one a channel;
//           compressed_bw is the width of the codes, per_block_int_scale flat, ordered (channel,
//           block): 1 to 2^(bw - compressed_bw)
//   2.0.0   per_block_int_scale * per_channel_float_scale, nested, instead of y_scale
//   2.1.0   y_scale: {x, x_scale, axis of the channels}
//
// NVFP4 has a form in 2.1.0 alone: {x, x_scale, input_dtype float8e4m3fn}, x_scale one number.
// Powers of two have none: y_scale holds them as they are.

#include <optional>
#include <string>

#include "lib/base/status.h"
#include "lib/io/encoding_entry.h"
#include "lib/io/json_fields.h"

namespace roundel::io {

// For 1.0.0 and an encoding of low power blocks of a value of `shape`: the fields from "bw" on.
// `order` is that of BlockOrder. nullopt: the form is that of float scales.
std::optional<Json> LowPowerFields(const quant::Encoding& encoding, const Shape& shape,
                                   const std::vector<size_t>& order);
// For 2.x: the fields that replace y_scale, if the version has them for the encoding's kind.
std::optional<Json> ScaleLevelFields(const quant::Encoding& encoding, const Shape& shape,
                                     const std::string& version);

// Reads an entry of 1.0.0 with enc_type LPBQ. The blocks of a channel stay adjacent.
Status ReadLowPower(const Json& entry, EncodingEntry* raw);
// y_scale of an entry of 2.x, or the products of the fields that replace it, with raw->scale_kind.
Result<Numbers> ReadScaleLevels(const Json& entry, EncodingEntry* raw);

}  // namespace roundel::io
