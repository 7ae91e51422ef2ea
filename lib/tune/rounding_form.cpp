#include <algorithm>
#include <cmath>

#include "lib/tune/form.h"

namespace roundel::tune {
namespace {

using quant::Encoding;

// h(V) = clip(kStretch * sigmoid(V) - kOffset, 0, 1)
constexpr double kStretch = 1.2, kOffset = 0.1;
// |V| at which h is 0 or 1.
constexpr float kSettled = 10;
// How far the start may lie from its code, in steps: at a half, rounding would be a tie.
constexpr double kFarthest = 0.49;

class RoundingForm : public Form {
 public:
  RoundingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
               const RoundingSettings& settings)
      : Form(value, quant::DequantizeTensor(*encoding.codes, encoding)),
        encoding_(encoding),
        settings_(settings),
        shape_(weight.shape()) {
    SetStart(weight);
    AddLearned("/rounding", StartOffsets());
    // The penalty must have moved every weight to a code at the end.
    learned_[0].decays = !soft();
    if (settings.kind == Rounding::kStraight) {
      learned_[0].low = static_cast<float>(-settings.reach);
      learned_[0].high = static_cast<float>(settings.reach);
    }
    for (const int64_t axis : {settings.out_axis, settings.in_axis})
      if (settings.kind == Rounding::kFlex && axis >= 0) {
        Shape along(shape_.size(), 1);
        along[static_cast<size_t>(axis)] = shape_[static_cast<size_t>(axis)];
        AddLearned(StrCat("/factors/", axis), Tensor::Zeros(DType::kFloat, along));
      }
    factors_ = learned_.size();
    if (settings.scale_rate <= 0) return;
    AddLearned("/log_scale", Tensor::Zeros(DType::kFloat, ScaleShape(encoding, shape_)));
    learned_.back().rule = Rule::kAdam;
    learned_.back().rate = settings.scale_rate;
    learned_.back().codes = false;
  }

  Emitted Emit(Nodes* nodes, const std::string& sharpness) const override {
    return soft() ? EmitSoft(nodes, sharpness) : EmitRounded(nodes);
  }

  std::vector<Tensor> Settled(std::span<const Tensor> learned) const override {
    std::vector<Tensor> settled(learned.begin(), learned.end());
    if (!soft()) return settled;
    float* v = settled[0].mutable_data<float>();
    for (size_t i = 0; i < places_.size(); ++i)
      v[i] = Code(i, learned) > Base(i) ? kSettled : -kSettled;
    return settled;
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    const Encoding result = Result(learned);
    return quant::DequantizeTensor(*result.codes, result);
  }

  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    Encoding result = Result(learned);
    result.decided_by = pass;
    session->encodings[value_] = std::move(result);
    return "";
  }

  int64_t penalized() const override { return soft() ? NumElements(shape_) : 0; }

 private:
  bool soft() const { return settings_.kind == Rounding::kSoft; }

  void AddLearned(const std::string& what, const Tensor& start) {
    learned_.push_back(
        {.name = value_ + what, .start = start, .rule = settings_.rule, .rate = settings_.rate});
  }

  int64_t Lowest(int64_t flat) const { return encoding_.grid.qmin() - Params(flat).zero_point; }
  int64_t Highest(int64_t flat) const { return encoding_.grid.qmax() - Params(flat).zero_point; }
  const quant::QParams& Params(int64_t flat) const {
    return encoding_.params[static_cast<size_t>(encoding_.ParamIndex(shape_, flat))];
  }

  // places_: the weights in steps, moved into the cells of their codes.
  void SetStart(const Tensor& weight) {
    const std::vector<int64_t> codes = encoding_.codes->ToInt64s();
    places_.resize(codes.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto flat = static_cast<int64_t>(i);
      const auto code = static_cast<double>(codes[i] - Params(flat).zero_point);
      const double place = weight.data<float>()[i] / static_cast<double>(Params(flat).scale);
      const double moved = std::isfinite(place) ? place : code;
      places_[i] =
          std::clamp(std::clamp(moved, code - kFarthest, code + kFarthest),
                     static_cast<double>(Lowest(flat)), static_cast<double>(Highest(flat)));
    }
  }

  // Soft rounding: the lower of the two codes between which a weight chooses.
  double Base(size_t i) const {
    const auto flat = static_cast<int64_t>(i);
    return std::min(std::floor(places_[i]), static_cast<double>(Highest(flat) - 1));
  }

  // The start of V.
  Tensor StartOffsets() const {
    std::vector<float> moves(places_.size());
    for (size_t i = 0; soft() && i < moves.size(); ++i) {
      const double h = (places_[i] - Base(i) + kOffset) / kStretch;
      moves[i] = static_cast<float>(std::log(h / (1 - h)));
    }
    return Tensor::FromVector(shape_, moves);
  }

  // The scales, of the encoding's shape.
  std::string EmitScales(Nodes* nodes) const {
    std::vector<float> scales;
    for (const quant::QParams& p : encoding_.params) scales.push_back(p.scale);
    const std::string start =
        nodes->Constant(Tensor::FromVector(ScaleShape(encoding_, shape_), scales));
    if (settings_.scale_rate <= 0) return start;
    return nodes->Add("Mul", {start, nodes->Add("Exp", {value_ + "/log_scale"})});
  }

  // The scale of every weight, broadcast along the axes that share it.
  std::string Spread(Nodes* nodes, const std::string& scales) const {
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
    return nodes->Add("Gather",
                      {scales, nodes->Constant(Tensor::FromVector<int64_t>({size}, block))},
                      {{"axis", encoding_.axis}});
  }

  Emitted EmitSoft(Nodes* nodes, const std::string& sharpness) const {
    std::vector<float> base(places_.size());
    for (size_t i = 0; i < base.size(); ++i) base[i] = static_cast<float>(Base(i));
    const std::string stretched =
        nodes->Add("Sub", {nodes->Add("Mul", {nodes->Add("Sigmoid", {learned_[0].name}),
                                              nodes->Scalar(static_cast<float>(kStretch))}),
                           nodes->Scalar(static_cast<float>(kOffset))});
    const std::string one = nodes->Scalar(1);
    const std::string h = nodes->Add("Clip", {stretched, nodes->Scalar(0), one});
    const std::string codes =
        nodes->Add("Add", {nodes->Constant(Tensor::FromVector(shape_, base)), h});
    const std::string sides =
        nodes->Add("Abs", {nodes->Add("Sub", {nodes->Add("Add", {h, h}), one})});
    const std::string penalty =
        nodes->Add("ReduceSum", {nodes->Add("Sub", {one, nodes->Add("Pow", {sides, sharpness})})},
                   {{"keepdims", int64_t{0}}});
    return {nodes->Add("Mul", {codes, Spread(nodes, EmitScales(nodes))}), penalty};
  }

  Emitted EmitRounded(Nodes* nodes) const {
    std::vector<float> places(places_.begin(), places_.end()), zeros;
    for (const quant::QParams& p : encoding_.params)
      zeros.push_back(static_cast<float>(p.zero_point));
    const std::string scales = EmitScales(nodes);
    std::string moved = nodes->Constant(Tensor::FromVector(shape_, places));
    if (settings_.kind == Rounding::kStraight)
      moved = nodes->Add("Add", {moved, learned_[0].name});
    else
      for (size_t i = 0; i < factors_; ++i)
        moved =
            nodes->Add("Mul", {moved, nodes->Add("Exp", {nodes->Add("Neg", {learned_[i].name})})});
    Nodes::Attributes attributes = {{"qmin", int64_t{encoding_.grid.qmin()}},
                                    {"qmax", int64_t{encoding_.grid.qmax()}}};
    if (encoding_.granularity != quant::Granularity::kTensor)
      attributes.emplace_back("axis", encoding_.axis);
    if (encoding_.granularity == quant::Granularity::kBlock)
      attributes.emplace_back("block_size", encoding_.block_size);
    return {nodes->Add("FakeQuant",
                       {nodes->Add("Mul", {moved, Spread(nodes, scales)}), scales,
                        nodes->Constant(Tensor::FromVector(ScaleShape(encoding_, shape_), zeros))},
                       attributes, "roundel"),
            ""};
  }

  // The code of a weight, counted from the zero point, before it is clamped.
  double Code(size_t i, std::span<const Tensor> learned) const {
    const double v = learned[0].data<float>()[i];
    if (soft()) return Base(i) + (kStretch / (1 + std::exp(-v)) - kOffset >= 0.5 ? 1 : 0);
    if (settings_.kind == Rounding::kStraight) return std::nearbyint(places_[i] + v);
    double exponent = v;
    for (size_t f = 1; f < factors_; ++f) {
      const Shape& along = learned[f].shape();
      const auto axis = std::max_element(along.begin(), along.end()) - along.begin();
      int64_t inner = 1;
      for (size_t d = static_cast<size_t>(axis) + 1; d < shape_.size(); ++d) inner *= shape_[d];
      const int64_t place = static_cast<int64_t>(i) / inner % along[static_cast<size_t>(axis)];
      exponent += learned[f].data<float>()[place];
    }
    return std::nearbyint(places_[i] * std::exp(-exponent));
  }

  // The encoding for learned tensors.
  Encoding Result(std::span<const Tensor> learned) const {
    Encoding result = encoding_;
    std::vector<int64_t> codes(places_.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto flat = static_cast<int64_t>(i);
      const double low = static_cast<double>(Lowest(flat)),
                   high = static_cast<double>(Highest(flat));
      codes[i] =
          static_cast<int64_t>(std::clamp(Code(i, learned), low, high)) + Params(flat).zero_point;
    }
    result.codes = quant::CodesTensor(codes, encoding_.grid, shape_);
    if (learned.size() > factors_)
      for (size_t i = 0; i < result.params.size(); ++i)
        result.params[i].scale *= std::exp(learned[factors_].data<float>()[i]);
    return result;
  }

  const Encoding encoding_;
  const RoundingSettings settings_;
  const Shape shape_;
  std::vector<double> places_;
  size_t factors_ = 0;  // learned tensors that decide on codes; the scales follow
};

}  // namespace

FormPtr MakeRoundingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
                         const RoundingSettings& settings) {
  RoundingSettings used = settings;
  // Scales that are themselves on a grid stay.
  if (encoding.grid.scales != quant::ScaleKind::kFloat &&
      encoding.grid.scales != quant::ScaleKind::kSigned)
    used.scale_rate = 0;
  return std::make_unique<RoundingForm>(value, weight, encoding, used);
}

std::string WhyNoRounding(const Encoding& encoding) {
  if (!encoding.grid.is_uniform()) return encoding.grid.Name() + " has no even steps";
  return "";
}

}  // namespace roundel::tune
