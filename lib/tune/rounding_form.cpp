#include <algorithm>
#include <cmath>

#include "lib/tune/form.h"
#include "lib/tune/weight_grid.h"

namespace roundel::tune {
namespace {

using quant::Encoding;

// h(V) = clip(kStretch * sigmoid(V) - kOffset, 0, 1)
constexpr double kStretch = 1.2, kOffset = 0.1;
// |V| at which h is 0 or 1.
constexpr float kSettled = 10;

class RoundingForm : public Form {
 public:
  RoundingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
               const RoundingSettings& settings)
      : Form(value, quant::DequantizeTensor(*encoding.codes, encoding)),
        grid_(encoding, weight.shape()),
        settings_(settings),
        shape_(weight.shape()),
        places_(grid_.Places(weight)) {
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
    learned_.push_back({.name = value_ + what,
                        .start = start,
                        .rule = settings_.rule,
                        .rate = settings_.rate,
                        .codes = true});
  }

  // Soft rounding: the lower of the two codes between which a weight chooses.
  double Base(size_t i) const {
    const auto flat = static_cast<int64_t>(i);
    return std::min(std::floor(places_[i]), static_cast<double>(grid_.Highest(flat) - 1));
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
    const std::string start = nodes->Constant(grid_.Scales());
    if (settings_.scale_rate <= 0) return start;
    return nodes->Add("Mul", {start, nodes->Add("Exp", {value_ + "/log_scale"})});
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
    return {nodes->Add("Mul", {codes, grid_.Spread(nodes, EmitScales(nodes))}), penalty};
  }

  Emitted EmitRounded(Nodes* nodes) const {
    const std::vector<float> places(places_.begin(), places_.end());
    const std::string scales = EmitScales(nodes);
    std::string moved = nodes->Constant(Tensor::FromVector(shape_, places));
    if (settings_.kind == Rounding::kStraight)
      moved = nodes->Add("Add", {moved, learned_[0].name});
    else
      for (size_t i = 0; i < factors_; ++i)
        moved =
            nodes->Add("Mul", {moved, nodes->Add("Exp", {nodes->Add("Neg", {learned_[i].name})})});
    return {grid_.Round(nodes, nodes->Add("Mul", {moved, grid_.Spread(nodes, scales)}), scales,
                        nodes->Constant(grid_.ZeroPoints())),
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
    Encoding result = grid_.encoding();
    std::vector<int64_t> codes(places_.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto flat = static_cast<int64_t>(i);
      const double low = static_cast<double>(grid_.Lowest(flat)),
                   high = static_cast<double>(grid_.Highest(flat));
      codes[i] = static_cast<int64_t>(std::clamp(Code(i, learned), low, high)) +
                 grid_.Params(flat).zero_point;
    }
    result.codes = quant::CodesTensor(codes, result.grid, shape_);
    if (learned.size() > factors_)
      for (size_t i = 0; i < result.params.size(); ++i)
        result.params[i].scale *= std::exp(learned[factors_].data<float>()[i]);
    return result;
  }

  const WeightGrid grid_;
  const RoundingSettings settings_;
  const Shape shape_;
  const std::vector<double> places_;
  size_t factors_ = 0;  // learned tensors that decide on codes; the scales follow
};

}  // namespace

FormPtr MakeRoundingForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
                         const RoundingSettings& settings) {
  RoundingSettings used = settings;
  // Scales that are themselves on a grid stay.
  if (!HasFreeScales(encoding.grid)) used.scale_rate = 0;
  return std::make_unique<RoundingForm>(value, weight, encoding, used);
}

std::string WhyNoRounding(const Encoding& encoding) {
  if (!encoding.grid.is_uniform()) return encoding.grid.Name() + " has no even steps";
  return "";
}

}  // namespace roundel::tune
