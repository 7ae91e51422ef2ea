#pragma once
// Images made from a model alone: the inputs of its BatchNormalization nodes get the means and
// variances that these nodes remember from training (ZeroQ: Cai et al. 2020, eq. 2 and 3).

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::tune {

struct SynthesisOptions {
  int64_t samples = 64;
  int64_t batch = 32;        // images whose statistics together match
  int64_t iterations = 200;  // of Adam, for each batch
  uint64_t seed = 0;
  float low = 0, high = 1;          // limits of the model's inputs
  int64_t height = -1, width = -1;  // of images, where the model leaves them open
};

// "", or why no images can be made for the model: it needs one float32 input [N, channels, height,
// width] of a size that the model or the options fix, with N free or 1, and nodes of
// BatchNormalization behind it.
std::string WhyNoSynthesis(const graph::Model& model, const SynthesisOptions& options);

struct Synthesized {
  std::vector<Tensor> batches;  // [batch, channels, height, width]
  // Mean over the nodes and channels of (m - mu)^2 / sigma^2 + (s - sigma)^2 / sigma^2: of random
  // values, and of the images.
  double loss_before = 0, loss_after = 0;
};

// The seed and the options determine the images. Errors: kModel, with WhyNoSynthesis; those of
// running the model; kInterrupted.
Result<Synthesized> Synthesize(const graph::Model& model, const SynthesisOptions& options);

}  // namespace roundel::tune
