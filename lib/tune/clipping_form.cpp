#include "lib/tune/clipping_form.h"

#include <algorithm>
#include <cmath>

#include "lib/layers/layer_bias.h"
#include "lib/tune/weight_grid.h"

namespace roundel::tune {
namespace {

using quant::Encoding;
using quant::Granularity;

// Scales below this are replaced by 1: the group holds zeros.
constexpr float kTiny = 1e-37f;

class ClippingForm : public Form {
 public:
  ClippingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
               const ClippingSettings& settings, std::vector<ChannelScale> scales, KeptScales* kept)
      : Form(value, weight),
        weight_(weight),
        encoding_(encoding),
        scales_(std::move(scales)),
        kept_(kept) {
    encoding_.codes.reset();
    const Shape shape = ScaleShape(encoding_, weight.shape());
    for (const char* side : {"/upper", "/lower"}) {
      Tensor start = Tensor::Empty(DType::kFloat, shape);
      std::fill_n(start.mutable_data<float>(), start.size(), static_cast<float>(settings.start));
      learned_.push_back(
          {.name = value + side, .start = start, .rate = settings.rate, .codes = true});
    }
    for (const ChannelScale& scale : scales_) learned_.push_back(scale.logarithms);
    std::vector<Tensor> starts;
    for (const Learned& one : learned_) starts.push_back(one.start);
    start_ = Final(starts);
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    const std::string weight = EmitScaled(nodes, nodes->Constant(weight_), scales_);
    const Range range = EmitRange(nodes, weight);
    const Step step = EmitStep(nodes, range);
    const WeightGrid grid(encoding_, weight_.shape());
    return {grid.Round(nodes, weight, step.scale, step.zero_point), ""};
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    const Encoding result = Result(learned);
    return quant::DequantizeTensor(*result.codes, result);
  }

  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    Encoding result = Result(learned);
    result.decided_by = pass;
    result.frozen = true;
    session->encodings[value_] = std::move(result);
    if (scales_.empty()) return "";
    session->model.graph->SetInitializer(value_, Scaled(weight_, scales_, learned.subspan(2)));
    for (size_t s = 0; kept_ && s < scales_.size(); ++s)
      (*kept_)[scales_[s].logarithms.name] = learned[s + 2];
    return "";
  }

 private:
  struct Range {
    std::string low, high;
  };
  struct Step {
    std::string scale, zero_point;
  };

  // The ends of each group's range, of the shape of its scales.
  Range EmitRange(Nodes* nodes, const std::string& weight) const {
    const Shape& shape = weight_.shape();
    std::string grouped = weight;
    std::vector<int64_t> axes;
    for (size_t d = 0; d < shape.size(); ++d) axes.push_back(static_cast<int64_t>(d));
    if (encoding_.granularity == Granularity::kChannel) axes.erase(axes.begin() + encoding_.axis);
    if (encoding_.granularity == Granularity::kBlock) {
      grouped = EmitBlocks(nodes, weight);
      axes = {encoding_.axis + 1};
    }
    const Nodes::Attributes attributes = {{"axes", axes}, {"keepdims", int64_t{0}}};
    const auto end = [&](const std::string& values, const std::string& learned) {
      std::string most = axes.empty() ? values : nodes->Add("ReduceMax", {values}, attributes);
      most = nodes->Add("Relu", {most});
      return nodes->Add("Mul", {most, nodes->Add("Sigmoid", {learned})});
    };
    const std::string high = end(grouped, learned_[0].name);
    const std::string low = end(nodes->Add("Neg", {grouped}), learned_[1].name);
    return {nodes->Add("Neg", {low}), high};
  }

  // The axis of blocks as two: the blocks, and the places in each. Zeros fill the last one, which
  // every range holds anyway.
  std::string EmitBlocks(Nodes* nodes, const std::string& weight) const {
    const Shape& shape = weight_.shape();
    const auto axis = static_cast<size_t>(encoding_.axis);
    const int64_t blocks = (shape[axis] - 1) / encoding_.block_size + 1;
    const auto rank = static_cast<int64_t>(shape.size());
    std::string padded = weight;
    std::vector<int64_t> pads(2 * shape.size(), 0);
    pads[shape.size() + axis] = blocks * encoding_.block_size - shape[axis];
    if (pads[shape.size() + axis] > 0)
      padded = nodes->Add("Pad",
                          {weight, nodes->Constant(Tensor::FromVector<int64_t>({2 * rank}, pads))});
    std::vector<int64_t> split = shape;
    split[axis] = encoding_.block_size;
    split.insert(split.begin() + encoding_.axis, blocks);
    return nodes->Add("Reshape",
                      {padded, nodes->Constant(Tensor::FromVector<int64_t>({rank + 1}, split))});
  }

  // As quant::ParamsFromRange.
  Step EmitStep(Nodes* nodes, const Range& range) const {
    const auto qmin = static_cast<float>(encoding_.grid.qmin()),
               qmax = static_cast<float>(encoding_.grid.qmax());
    const std::string low_side = nodes->Add("Neg", {range.low});
    std::string span;
    float steps = qmax - qmin;
    if (encoding_.grid.scales == quant::ScaleKind::kSigned) {
      span = nodes->Add(
          "Where", {nodes->Add("GreaterOrEqual", {low_side, range.high}), range.low, range.high});
      steps = qmin;
    } else if (encoding_.grid.symmetric) {
      span = nodes->Add("Max", {low_side, range.high});
      steps /= 2;
    } else {
      span = nodes->Add("Sub", {range.high, range.low});
    }
    const std::string scale = nodes->Add("Mul", {span, nodes->Scalar(1 / steps)});
    const std::string empty =
        nodes->Add("Less", {nodes->Add("Abs", {scale}), nodes->Scalar(kTiny)});
    const std::string used = nodes->Add("Where", {empty, nodes->Scalar(1), scale});
    return {used, EmitZeroPoint(nodes, range.low, used)};
  }

  std::string EmitZeroPoint(Nodes* nodes, const std::string& low, const std::string& scale) const {
    const auto qmin = static_cast<float>(encoding_.grid.qmin()),
               qmax = static_cast<float>(encoding_.grid.qmax());
    if (encoding_.grid.symmetric || encoding_.grid.scales == quant::ScaleKind::kSigned) {
      const Shape shape = ScaleShape(encoding_, weight_.shape());
      const quant::QParams middle = quant::ParamsFromRange(-1, 1, encoding_.grid);
      return nodes->Constant(
          Tensor::FromVector(shape, std::vector<float>(static_cast<size_t>(NumElements(shape)),
                                                       static_cast<float>(middle.zero_point))));
    }
    const std::string exact =
        nodes->Add("Sub", {nodes->Scalar(qmin), nodes->Add("Div", {low, scale})});
    return nodes->Add("Clip",
                      {nodes->Add("Round", {exact}), nodes->Scalar(qmin), nodes->Scalar(qmax)});
  }

  Encoding Result(std::span<const Tensor> learned) const {
    const Tensor weight = Scaled(weight_, scales_, learned.subspan(2));
    Encoding result = encoding_;
    const size_t groups = result.params.size();
    std::vector<double> low(groups, 0), high(groups, 0);
    const float* w = weight.data<float>();
    for (int64_t i = 0; i < weight.size(); ++i) {
      const auto g = static_cast<size_t>(encoding_.ParamIndex(weight.shape(), i));
      low[g] = std::min<double>(low[g], w[i]);
      high[g] = std::max<double>(high[g], w[i]);
    }
    const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    for (size_t g = 0; g < groups; ++g)
      result.params[g] =
          quant::ParamsFromRange(low[g] * sigmoid(learned[1].data<float>()[g]),
                                 high[g] * sigmoid(learned[0].data<float>()[g]), result.grid);
    result.codes = quant::QuantizeTensor(weight, result);
    return result;
  }

  const Tensor weight_;
  Encoding encoding_;
  const std::vector<ChannelScale> scales_;
  KeptScales* const kept_;
};

class ScaledForm : public Form {
 public:
  ScaledForm(const std::string& value, const Tensor& constant, std::vector<ChannelScale> scales,
             const graph::WeightedLayer* layer)
      : Form(value, constant), scales_(std::move(scales)) {
    if (layer) layer_ = *layer;
    for (const ChannelScale& scale : scales_) learned_.push_back(scale.logarithms);
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    return {EmitScaled(nodes, nodes->Constant(start_), scales_), ""};
  }
  Tensor Final(std::span<const Tensor> learned) const override {
    return Scaled(start_, scales_, learned);
  }
  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    const Tensor kept = Final(learned);
    if (layer_)
      return layers::SetBias(*session, *layer_,
                             {kept.data<float>(), kept.data<float>() + kept.size()}, pass);
    session->model.graph->SetInitializer(value_, kept);
    return "";
  }

 private:
  const std::vector<ChannelScale> scales_;
  std::optional<graph::WeightedLayer> layer_;
};

}  // namespace

FormPtr MakeClippingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
                         const ClippingSettings& settings, std::vector<ChannelScale> scales,
                         KeptScales* kept) {
  return std::make_unique<ClippingForm>(value, weight, encoding, settings, std::move(scales), kept);
}

std::string WhyNoClipping(const Encoding& encoding) {
  const quant::Grid& grid = encoding.grid;
  if (!grid.is_uniform()) return grid.Name() + " has no even steps";
  if (!HasFreeScales(grid)) return "the scales of " + grid.Name() + " are on a grid themselves";
  return "";
}

FormPtr MakeScaledForm(const std::string& value, const Tensor& constant,
                       std::vector<ChannelScale> scales, const graph::WeightedLayer* layer) {
  return std::make_unique<ScaledForm>(value, constant, std::move(scales), layer);
}

}  // namespace roundel::tune
