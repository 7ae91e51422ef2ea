#include "lib/tune/step_form.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/tune/weight_grid.h"

namespace roundel::tune {
namespace {

using quant::Encoding;

class StepForm : public Form {
 public:
  StepForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
           const StepSettings& settings)
      : Form(value, quant::FakeQuantizeTensor(weight, encoding)),
        grid_(encoding, weight.shape()),
        adam_(settings.rule == Rule::kAdam),
        units_(adam_ ? Units() : Tensor()) {
    const std::vector<double> places = grid_.Places(weight);
    Tensor start = Tensor::Empty(DType::kFloat, weight.shape());
    for (int64_t i = 0; i < start.size(); ++i) {
      const double place = places[static_cast<size_t>(i)];
      start.mutable_data<float>()[i] =
          static_cast<float>(adam_ ? place : place * static_cast<double>(grid_.Params(i).scale));
    }
    learned_.push_back({.name = value + "/weight",
                        .start = std::move(start),
                        .rule = settings.rule,
                        .rate = settings.rate,
                        .codes = true});
    if (settings.scale_rate > 0 && HasFreeScales(encoding.grid)) AddScales(settings);
    if (settings.offset_rate > 0 && !encoding.grid.symmetric) AddZeroPoints(settings);
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    std::string weight = learned_[0].name;
    if (adam_) weight = nodes->Add("Mul", {weight, nodes->Constant(units_)});
    std::string scales = nodes->Constant(grid_.Scales());
    if (scales_ > 0 && adam_)
      scales = nodes->Add("Mul", {scales, nodes->Add("Exp", {learned_[scales_].name})});
    else if (scales_ > 0)
      scales = nodes->Add("Mul", {nodes->Constant(Signs()), learned_[scales_].name});
    const std::string zeros =
        offsets_ > 0 ? learned_[offsets_].name : nodes->Constant(grid_.ZeroPoints());
    return {grid_.Round(nodes, weight, scales, zeros), ""};
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
    return "";
  }

 private:
  // The start scale of every weight.
  Tensor Units() const {
    Tensor units = Tensor::Empty(DType::kFloat, grid_.shape());
    for (int64_t i = 0; i < units.size(); ++i)
      units.mutable_data<float>()[i] = grid_.Params(i).scale;
    return units;
  }

  Tensor Signs() const {
    Tensor signs = grid_.Scales();
    for (int64_t i = 0; i < signs.size(); ++i)
      signs.mutable_data<float>()[i] = std::copysign(1.0f, signs.data<float>()[i]);
    return signs;
  }

  void AddScales(const StepSettings& settings) {
    scales_ = learned_.size();
    if (adam_) {
      learned_.push_back({.name = value_ + "/log_scale",
                          .start = Tensor::Zeros(DType::kFloat, grid_.scale_shape()),
                          .rate = settings.scale_rate});
      return;
    }
    Tensor magnitudes = grid_.Scales();
    for (int64_t i = 0; i < magnitudes.size(); ++i)
      magnitudes.mutable_data<float>()[i] = std::fabs(magnitudes.data<float>()[i]);
    learned_.push_back({.name = value_ + "/scale",
                        .start = std::move(magnitudes),
                        .rule = Rule::kMomentum,
                        .rate = settings.scale_rate * StepFactor(grid_.encoding(), grid_.shape()),
                        .low = std::numeric_limits<float>::min()});
  }

  void AddZeroPoints(const StepSettings& settings) {
    offsets_ = learned_.size();
    learned_.push_back({.name = value_ + "/zero_point",
                        .start = grid_.ZeroPoints(),
                        .rate = settings.offset_rate,
                        .low = static_cast<float>(grid_.encoding().grid.qmin()),
                        .high = static_cast<float>(grid_.encoding().grid.qmax())});
  }

  // The encoding for learned tensors, in the arithmetic of the emitted nodes.
  Encoding Result(std::span<const Tensor> learned) const {
    Encoding result = grid_.encoding();
    for (size_t i = 0; i < result.params.size(); ++i) {
      quant::QParams& params = result.params[i];
      if (scales_ > 0) {
        const float scale = learned[scales_].data<float>()[i];
        params.scale = adam_ ? params.scale * std::exp(scale) : std::copysign(scale, params.scale);
      }
      if (offsets_ > 0)
        params.zero_point =
            static_cast<int32_t>(std::nearbyint(learned[offsets_].data<float>()[i]));
    }
    Tensor weight = learned[0];
    if (adam_)
      for (int64_t i = 0; i < weight.size(); ++i)
        weight.mutable_data<float>()[i] *= units_.data<float>()[i];
    result.codes.reset();
    result.codes = quant::QuantizeTensor(weight, result);
    return result;
  }

  const WeightGrid grid_;
  const bool adam_;
  const Tensor units_;               // of learned weights; by Adam
  size_t scales_ = 0, offsets_ = 0;  // positions in learned_; 0: not learned
};

}  // namespace

double StepFactor(const Encoding& encoding, const Shape& weight) {
  const int64_t scales = std::max<int64_t>(1, NumElements(ScaleShape(encoding, weight)));
  const double sharing = static_cast<double>(NumElements(weight)) / static_cast<double>(scales);
  // The largest code, counted from the middle of the grid.
  const double highest =
      encoding.grid.symmetric || encoding.grid.is_signed
          ? encoding.grid.qmax()
          : (static_cast<double>(encoding.grid.qmax()) - encoding.grid.qmin()) / 2;
  return 1 / std::sqrt(std::max(1.0, sharing) * std::max(1.0, highest));
}

FormPtr MakeStepForm(const std::string& value, const Tensor& weight, const Encoding& encoding,
                     const StepSettings& settings) {
  return std::make_unique<StepForm>(value, weight, encoding, settings);
}

}  // namespace roundel::tune
