#pragma once
// A form computes one value of a block (a weight, a bias, a scale of activations) from learned
// tensors. A method is a choice of forms: how a quantized weight depends on what is learned, where
// learning starts, and what becomes of it at the end.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/session/session.h"
#include "lib/tune/nodes.h"
#include "lib/tune/optimizer.h"

namespace roundel::tune {

class Form {
 public:
  virtual ~Form() = default;
  // The value's name in the block, and its start value.
  const std::string& value() const { return value_; }
  const Tensor& start() const { return start_; }
  const std::vector<Learned>& learned() const { return learned_; }

  struct Emitted {
    std::string value;
    std::string penalty;  // a sum over the weights, each at most 1; "": none
  };
  // Appends nodes that compute the value from inputs with the names of learned(). `sharpness`: a
  // scalar input, the exponent of penalties.
  virtual Emitted Emit(Nodes* nodes, const std::string& sharpness) const = 0;
  // Equivalent learned tensors at which the value is the final one.
  virtual std::vector<Tensor> Settled(std::span<const Tensor> learned) const {
    return {learned.begin(), learned.end()};
  }
  // The value that the quantized model has after learning. `learned`: in the order of learned().
  virtual Tensor Final(std::span<const Tensor> learned) const = 0;
  // Writes the result to the model or to its encodings. Returns "", or why it was not written.
  virtual std::string Keep(std::span<const Tensor> learned, const std::string& pass,
                           Session* session) const = 0;
  virtual int64_t penalized() const { return 0; }  // number of weights in the penalty
  // The activations whose quantizers have the value as their scale, or as their zero point.
  virtual std::vector<std::string> activations() const { return {}; }
  virtual std::vector<std::string> zero_points() const { return {}; }

 protected:
  Form(std::string value, Tensor start) : value_(std::move(value)), start_(std::move(start)) {}
  std::string value_;
  Tensor start_;
  std::vector<Learned> learned_;
};
using FormPtr = std::unique_ptr<Form>;

// ---- weights on an integer grid

// How codes depend on what is learned. Learning starts at codes that exist: `place` is the weight in
// steps of its scale, moved into the cell of its code.
enum class Rounding {
  // AdaRound (Nagel et al. 2020, eq. 20 to 24): code = floor(place) + h(V), where
  // h(V) = clip(1.2 sigmoid(V) - 0.1, 0, 1), and a penalty 1 - |2h - 1|^sharpness moves each h to
  // 0 or 1.
  kSoft,
  // AutoRound (Cheng et al. 2023): code = round(place + V) with |V| <= `reach`, whose rounding is
  // passed straight through. Without limits these are the weights themselves (LSQ, EfficientQAT).
  kStraight,
  // FlexRound (Lee et al. 2023), AdaScale: code = round(place / exp(s2 + s3 + s4)) with a factor
  // for each element (s2), each output channel (s3) and each input channel of a convolution (s4).
  kFlex,
};

struct RoundingSettings {
  Rounding kind = Rounding::kSoft;
  Rule rule = Rule::kAdam;
  double rate = 1e-2;        // of V, or of s2 to s4
  double scale_rate = 1e-4;  // of the logarithms of scales; 0: scales stay
  double reach = 1;          // of kStraight, in steps
  // kFlex: the axes of output and input channels; -1: no factors for these.
  int64_t out_axis = -1, in_axis = -1;
};
// `encoding` has codes, at which learning starts; the float `weight` decides to which side of a
// code V may go. Requires: WhyNoRounding(encoding) is empty.
FormPtr MakeRoundingForm(const std::string& value, const Tensor& weight,
                         const quant::Encoding& encoding, const RoundingSettings& settings);
// "" or the reason why the codes of such an encoding cannot be learned.
std::string WhyNoRounding(const quant::Encoding& encoding);

// ---- biases

// The bias of a layer. The rate is relative to the lengths of the weight's rows. nullptr if the
// layer has no bias that may change. Requires: the layer's graph outlives the form.
FormPtr MakeBiasForm(const Session& session, const graph::WeightedLayer& layer, double rate);

// ---- ranges of activations

// The scale of the encoding that all `members` share. Requires: an integer grid, per tensor.
FormPtr MakeRangeForm(std::vector<std::string> members, const quant::Encoding& encoding,
                      double rate);

}  // namespace roundel::tune
