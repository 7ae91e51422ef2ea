#pragma once
// The unfolded input of a layer (im2col): for every output position the values that are multiplied
// by the weights, so that the layer is a matrix product. Only chosen positions are computed.

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/layer.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::walk {

// Conv: a column holds [in_per_group][kernel] values around one output position (zeros where the
// padding is). ConvTranspose: the [in_per_group] values of one input position, each multiplied by
// the whole kernel. Gemm, MatMul: one row of the input; one column, if the weight is on the left.
// With a stack of matrices, [stack][inputs of each]: zeros except for the matrix of the position.
class Columns {
 public:
  // For inputs of this shape. Errors: kModel if the layer does not accept it.
  static Result<Columns> Create(const graph::WeightedLayer& layer, const Shape& weight,
                                const Shape& input);

  int64_t size() const { return size_; }            // values of a column
  int64_t positions() const { return positions_; }  // of the whole batch, samples first
  // rows[i, :] = the column of `group` at chosen[i]; rows is [chosen.size(), size()]. `input`:
  // elements of a tensor of that shape, row-major.
  void Read(const float* input, std::span<const int64_t> chosen, int64_t group, float* rows) const;

 private:
  Status SetMatrices(const graph::WeightedLayer& layer, const Shape& weight, const Shape& input);
  void SetTaps();
  void ReadWindow(const float* input, int64_t position, int64_t group, float* row) const;

  int64_t size_ = 0, positions_ = 0;
  int64_t channels_ = 0;  // of the input
  int64_t in_per_group_ = 0;
  int64_t pixels_ = 1;  // spatial positions of the input; 1 for matrices
  // For stacks: the matrix of the input that belongs to each matrix of the weight.
  struct Pair {
    int64_t input, weight;
  };
  std::vector<Pair> pairs_;
  int64_t rows_ = 0;           // of one matrix of the input
  std::vector<int64_t> taps_;  // pixels from the first tap of a window to each
  bool window_ = false;        // Conv
  engine::Window geometry_;    // of it
};

}  // namespace roundel::walk
