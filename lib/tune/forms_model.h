#pragma once
// All forms of a block as one graph: the values from the learned tensors, and the gradients of the
// learned tensors from the gradients of the values. Runs once per step, on all threads.

#include <memory>
#include <vector>

#include "lib/engine/executor.h"
#include "lib/tune/form.h"

namespace roundel::tune {

// The learned tensors of all forms, in the order of the forms. Those of the same name are one, which
// these forms share.
std::vector<Learned> LearnedOf(const std::vector<FormPtr>& forms);
// The values of the form's learned tensors, in its order, from those of all forms.
std::vector<Tensor> OwnOf(const Form& form, const std::vector<Learned>& all,
                          const std::vector<Tensor>& values);

class FormsModel {
 public:
  // The forms must outlive this object.
  static Result<FormsModel> Create(const std::vector<FormPtr>& forms);

  // LearnedOf the forms.
  const std::vector<Learned>& learned() const { return learned_; }
  // One value per form.
  Result<std::vector<Tensor>> Values(const std::vector<Tensor>& learned) const;
  // The same as Form::Final of each.
  std::vector<Tensor> Finals(const std::vector<Tensor>& learned) const;

  // The same as Form::Settled of each.
  std::vector<Tensor> Settled(const std::vector<Tensor>& learned) const;

  struct Step {
    std::vector<Tensor> gradients;  // of the learned tensors
    double penalty = 0;             // mean over the penalized weights
  };
  // Of loss + penalty_rate * (mean penalty). `of_values`: the gradients of the loss.
  Result<Step> Gradients(const std::vector<Tensor>& learned, const std::vector<Tensor>& of_values,
                         double sharpness, double penalty_rate) const;

 private:
  const std::vector<FormPtr>* forms_ = nullptr;
  std::vector<Learned> learned_;
  std::unique_ptr<engine::Executor> forward_, backward_;
};

}  // namespace roundel::tune
