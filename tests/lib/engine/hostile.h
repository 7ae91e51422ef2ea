#pragma once
// Inputs and attributes that fit nothing, for tests of kernels and of the executor around them.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/random.h"
#include "lib/graph/graph.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

using graph::Attribute;

template <typename T>
const T& Pick(Random& random, const std::vector<T>& items) {
  return items[random.Below(items.size())];
}

// Small numbers that may fit, and limits that never do.
inline int64_t HostileInt(Random& random) {
  static const std::vector<int64_t> kValues = {0,
                                               1,
                                               2,
                                               3,
                                               4,
                                               5,
                                               7,
                                               -1,
                                               -2,
                                               -3,
                                               1000,
                                               int64_t{1} << 31,
                                               int64_t{1} << 40,
                                               INT64_MAX,
                                               INT64_MIN,
                                               INT64_MAX - 1};
  // Mostly the small ones, so that some calls get past the first check.
  return random.Below(6) == 0 ? Pick(random, kValues) : static_cast<int64_t>(random.Below(5)) - 1;
}

inline float HostileFloat(Random& random) {
  static const std::vector<float> kValues = {0,     1,      -1,       0.5f,      2,   -3,
                                             1e30f, -1e30f, INFINITY, -INFINITY, NAN, 1e-30f};
  return Pick(random, kValues);
}

inline Shape HostileShape(Random& random) {
  static const std::vector<Shape> kShapes = {{},           {0},          {1},
                                             {2},          {3},          {4},
                                             {1, 1},       {2, 3},       {3, 2},
                                             {3, 3},       {1, 4},       {0, 3},
                                             {2, 3, 4},    {1, 2, 3},    {2, 0, 3},
                                             {1, 4, 4},    {1, 2, 3, 3}, {2, 4, 2, 2},
                                             {1, 1, 5, 5}, {4, 2, 1, 1}, {1, 2, 2, 2, 2}};
  return Pick(random, kShapes);
}

inline Tensor HostileTensor(Random& random) {
  static const std::vector<DType> kTypes = {
      DType::kFloat,        DType::kFloat,     DType::kFloat,  DType::kInt64,    DType::kInt64,
      DType::kInt32,        DType::kUint8,     DType::kInt8,   DType::kDouble,   DType::kFloat16,
      DType::kBool,         DType::kInt4,      DType::kString, DType::kBfloat16, DType::kUint64,
      DType::kFloat8E4M3FN, DType::kComplex128};
  const DType type = Pick(random, kTypes);
  const Shape shape = HostileShape(random);
  const int64_t n = NumElements(shape);
  if (type == DType::kString)
    return Tensor::Strings(shape, std::vector<std::string>(static_cast<size_t>(n), "abc"));
  Tensor tensor = Tensor::Zeros(type, shape);
  if (type == DType::kFloat)
    for (int64_t i = 0; i < n; ++i) tensor.mutable_data<float>()[i] = HostileFloat(random);
  else if (type == DType::kInt64)
    for (int64_t i = 0; i < n; ++i) tensor.mutable_data<int64_t>()[i] = HostileInt(random);
  else if (type == DType::kBool)
    for (int64_t i = 0; i < n; ++i) tensor.mutable_data<bool>()[i] = random.Below(2) == 1;
  else
    for (int64_t i = 0; i < tensor.byte_size(); ++i)
      static_cast<uint8_t*>(tensor.mutable_raw())[i] = static_cast<uint8_t>(random.Next());
  return tensor;
}

// Attributes that any operator reads; each call gets some of them with values that may fit or not.
inline std::vector<std::pair<std::string, Attribute::Value>> HostileAttributes(Random& random) {
  static const std::vector<std::string> kInts = {"axis",
                                                 "k",
                                                 "group",
                                                 "keepdims",
                                                 "to",
                                                 "block_size",
                                                 "blocksize",
                                                 "batch_dims",
                                                 "size",
                                                 "num_outputs",
                                                 "num_groups",
                                                 "dtype",
                                                 "output_dtype",
                                                 "hidden_size",
                                                 "time_axis",
                                                 "batch_axis",
                                                 "p",
                                                 "output_height",
                                                 "output_width",
                                                 "sampling_ratio",
                                                 "start",
                                                 "end",
                                                 "ceil_mode",
                                                 "storage_order",
                                                 "count_include_pad",
                                                 "largest",
                                                 "exclusive",
                                                 "reverse",
                                                 "fmod",
                                                 "layout",
                                                 "linear_before_reset",
                                                 "output_datatype",
                                                 "onesided",
                                                 "inverse",
                                                 "transA",
                                                 "transB",
                                                 "allowzero",
                                                 "antialias",
                                                 "training_mode",
                                                 "kv_num_heads",
                                                 "q_num_heads",
                                                 "bits",
                                                 "K",
                                                 "N"};
  static const std::vector<std::string> kLists = {
      "axes",         "perm",  "pads",           "strides", "dilations", "kernel_shape",
      "output_shape", "shape", "output_padding", "split",   "starts",    "ends"};
  static const std::vector<std::string> kWords = {"mode",         "auto_pad",
                                                  "direction",    "equation",
                                                  "reduction",    "coordinate_transformation_mode",
                                                  "nearest_mode", "padding_mode"};
  static const std::vector<std::string> kWordValues = {"",
                                                       "linear",
                                                       "cubic",
                                                       "nearest",
                                                       "SAME_UPPER",
                                                       "VALID",
                                                       "LEFT",
                                                       "bidirectional",
                                                       "ij,jk->ik",
                                                       "i->ii",
                                                       "...->",
                                                       "ab",
                                                       "add",
                                                       "mean",
                                                       "none",
                                                       "tf_crop_and_resize",
                                                       "align_corners",
                                                       "reflect",
                                                       "wrap",
                                                       "border",
                                                       "reverse",
                                                       "\xff"};
  std::vector<std::pair<std::string, Attribute::Value>> attributes;
  for (const std::string& name : kInts)
    if (random.Below(4) == 0) attributes.emplace_back(name, HostileInt(random));
  for (const std::string& name : kLists) {
    if (random.Below(4) != 0) continue;
    std::vector<int64_t> list(random.Below(5));
    for (int64_t& value : list) value = HostileInt(random);
    attributes.emplace_back(name, list);
  }
  for (const std::string& name : kWords)
    if (random.Below(3) == 0) attributes.emplace_back(name, Pick(random, kWordValues));
  if (random.Below(4) == 0) attributes.emplace_back("value", HostileTensor(random));
  return attributes;
}

}  // namespace roundel::engine
