#include "lib/tune/weight_grid.h"

#include <algorithm>
#include <cmath>

namespace roundel::tune {
namespace {

// How far a place may lie from its code, in steps: at a half, rounding would be a tie.
constexpr double kFarthest = 0.49;

}  // namespace

std::vector<double> WeightGrid::Places(const Tensor& weight) const {
  std::vector<double> places(static_cast<size_t>(weight.size()));
  const std::vector<int64_t> codes =
      encoding_.codes ? encoding_.codes->ToInt64s() : std::vector<int64_t>();
  for (size_t i = 0; i < places.size(); ++i) {
    const auto flat = static_cast<int64_t>(i);
    places[i] = weight.data<float>()[i] / static_cast<double>(Params(flat).scale);
    if (codes.empty()) continue;
    const auto code = static_cast<double>(codes[i] - Params(flat).zero_point);
    if (!std::isfinite(places[i])) places[i] = code;
    places[i] = std::clamp(std::clamp(places[i], code - kFarthest, code + kFarthest),
                           static_cast<double>(Lowest(flat)), static_cast<double>(Highest(flat)));
  }
  return places;
}

Tensor WeightGrid::Scales() const {
  std::vector<float> scales;
  for (const quant::QParams& p : encoding_.params) scales.push_back(p.scale);
  return Tensor::FromVector(scale_shape(), scales);
}

Tensor WeightGrid::ZeroPoints() const {
  std::vector<float> zeros;
  for (const quant::QParams& p : encoding_.params)
    zeros.push_back(static_cast<float>(p.zero_point));
  return Tensor::FromVector(scale_shape(), zeros);
}

std::string WeightGrid::Spread(Nodes* nodes, const std::string& scales) const {
  if (encoding_.granularity == quant::Granularity::kTensor) return scales;
  if (encoding_.granularity == quant::Granularity::kChannel) {
    std::vector<int64_t> shape(shape_.size(), 1);
    shape[static_cast<size_t>(encoding_.axis)] = -1;
    const auto rank = static_cast<int64_t>(shape.size());
    return nodes->Add("Reshape",
                      {scales, nodes->Constant(Tensor::FromVector<int64_t>({rank}, shape))});
  }
  std::vector<int64_t> block(static_cast<size_t>(shape_[static_cast<size_t>(encoding_.axis)]));
  for (size_t i = 0; i < block.size(); ++i)
    block[i] = static_cast<int64_t>(i) / encoding_.block_size;
  const auto size = static_cast<int64_t>(block.size());
  return nodes->Add("Gather", {scales, nodes->Constant(Tensor::FromVector<int64_t>({size}, block))},
                    {{"axis", encoding_.axis}});
}

std::string WeightGrid::Round(Nodes* nodes, const std::string& weight, const std::string& scales,
                              const std::string& zero_points) const {
  Nodes::Attributes attributes = {{"qmin", int64_t{encoding_.grid.qmin()}},
                                  {"qmax", int64_t{encoding_.grid.qmax()}}};
  if (encoding_.granularity != quant::Granularity::kTensor)
    attributes.emplace_back("axis", encoding_.axis);
  if (encoding_.granularity == quant::Granularity::kBlock)
    attributes.emplace_back("block_size", encoding_.block_size);
  return nodes->Add("FakeQuant", {weight, scales, zero_points}, attributes, "roundel");
}

}  // namespace roundel::tune
