#include <cmath>

#include "lib/tune/form.h"

namespace roundel::tune {
namespace {

// scale = start * exp(learned), with the zero point of the encoding.
class RangeForm : public Form {
 public:
  RangeForm(std::vector<std::string> members, const quant::Encoding& encoding, double rate)
      : Form(members.at(0) + "/scale", Tensor::Scalar(encoding.params.at(0).scale)),
        members_(std::move(members)) {
    learned_.push_back({.name = members_[0] + "/log_scale",
                        .start = Tensor::Zeros(DType::kFloat, {}),
                        .rate = rate});
  }

  Emitted Emit(Nodes* nodes, const std::string&) const override {
    return {nodes->Add("Mul", {nodes->Constant(start_), nodes->Add("Exp", {learned_[0].name})}),
            ""};
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    return Tensor::Scalar(start_.data<float>()[0] * std::exp(learned[0].data<float>()[0]));
  }

  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    const float scale = Final(learned).data<float>()[0];
    for (const std::string& member : members_) {
      quant::Encoding& encoding = session->encodings.at(member);
      encoding.params[0].scale = scale;
      encoding.decided_by = pass;
    }
    return "";
  }

  std::vector<std::string> activations() const override { return members_; }

 private:
  const std::vector<std::string> members_;
};

}  // namespace

FormPtr MakeRangeForm(std::vector<std::string> members, const quant::Encoding& encoding,
                      double rate) {
  return std::make_unique<RangeForm>(std::move(members), encoding, rate);
}

}  // namespace roundel::tune
