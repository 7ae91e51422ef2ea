#include "lib/tune/channel_scales.h"

#include <cmath>

namespace roundel::tune {

std::string EmitScaled(Nodes* nodes, const std::string& value,
                       const std::vector<ChannelScale>& scales) {
  std::string scaled = value;
  for (const ChannelScale& one : scales) {
    std::string exponent = one.logarithms.name;
    if (one.divides) exponent = nodes->Add("Neg", {exponent});
    const std::string spread =
        nodes->Add("Gather", {nodes->Add("Exp", {exponent}), nodes->Constant(one.channel)});
    scaled = nodes->Add("Mul", {scaled, spread});
  }
  return scaled;
}

Tensor Scaled(const Tensor& value, const std::vector<ChannelScale>& scales,
              std::span<const Tensor> logarithms) {
  Tensor scaled = value;
  float* to = scaled.mutable_data<float>();
  const auto rank = static_cast<size_t>(value.rank());
  for (size_t s = 0; s < scales.size(); ++s) {
    const Shape& along = scales[s].channel.shape();
    const int64_t* channel = scales[s].channel.data<int64_t>();
    const float* log = logarithms[s].data<float>();
    for (int64_t i = 0; i < value.size(); ++i) {
      int64_t rest = i, at = 0, stride = 1;
      for (size_t back = 1; back <= rank; ++back) {
        const int64_t place = rest % value.dim(static_cast<int64_t>(rank - back));
        rest /= value.dim(static_cast<int64_t>(rank - back));
        if (back > along.size()) break;
        const int64_t size = along[along.size() - back];
        at += (size == 1 ? 0 : place) * stride;
        stride *= size;
      }
      const float exponent = log[channel[at]];
      to[i] *= std::exp(scales[s].divides ? -exponent : exponent);
    }
  }
  return scaled;
}

}  // namespace roundel::tune
