#include <cmath>

#include "lib/tune/step_form.h"

namespace roundel::tune {
namespace {

class OffsetForm : public Form {
 public:
  OffsetForm(std::vector<std::string> members, const quant::Encoding& encoding, double rate)
      : Form(members.at(0) + "/offset",
             Tensor::Scalar(static_cast<float>(encoding.params.at(0).zero_point))),
        members_(std::move(members)) {
    learned_.push_back({.name = members_[0] + "/zero_point",
                        .start = start_,
                        .rate = rate,
                        .low = static_cast<float>(encoding.grid.qmin()),
                        .high = static_cast<float>(encoding.grid.qmax())});
  }

  // The quantizer rounds it.
  Emitted Emit(Nodes* nodes, const std::string&) const override {
    return {nodes->Add("Identity", {learned_[0].name}), ""};
  }

  Tensor Final(std::span<const Tensor> learned) const override {
    return Tensor::Scalar(std::nearbyint(learned[0].data<float>()[0]));
  }

  std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                   Session* session) const override {
    const auto zero_point = static_cast<int32_t>(Final(learned).data<float>()[0]);
    for (const std::string& member : members_) {
      quant::Encoding& encoding = session->encodings.at(member);
      encoding.params[0].zero_point = zero_point;
      encoding.decided_by = pass;
    }
    return "";
  }

  std::vector<std::string> zero_points() const override { return members_; }

 private:
  const std::vector<std::string> members_;
};

}  // namespace

FormPtr MakeOffsetForm(std::vector<std::string> members, const quant::Encoding& encoding,
                       double rate) {
  return std::make_unique<OffsetForm>(std::move(members), encoding, rate);
}

bool HasOffset(const quant::Encoding& encoding) {
  const int32_t zero_point = encoding.params.at(0).zero_point;
  return !encoding.grid.symmetric && zero_point > encoding.grid.qmin() &&
         zero_point < encoding.grid.qmax();
}

}  // namespace roundel::tune
