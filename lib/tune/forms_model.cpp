#include "lib/tune/forms_model.h"

#include <set>
#include <string>

#include "lib/grad/backward.h"

namespace roundel::tune {
namespace {

constexpr int64_t kOpset = 17;
constexpr const char* kSharpness = "sharpness";
constexpr const char* kPenaltyRate = "penalty_rate";

graph::Model NewModel() {
  graph::Model model;
  model.SetOpset("", kOpset);
  model.SetOpset("roundel", 1);
  return model;
}

struct EmittedForms {
  std::vector<std::string> values;
  std::vector<std::string> penalties;
};

EmittedForms EmitAll(const std::vector<FormPtr>& forms, const std::vector<Learned>& learned,
                     Nodes* nodes) {
  for (const Learned& one : learned) AddFloatInput(&nodes->graph(), one.name, one.start.shape());
  AddFloatInput(&nodes->graph(), kSharpness, Shape{});
  EmittedForms emitted;
  for (const FormPtr& form : forms) {
    const Form::Emitted one = form->Emit(nodes, kSharpness);
    emitted.values.push_back(one.value);
    if (!one.penalty.empty()) emitted.penalties.push_back(one.penalty);
  }
  return emitted;
}

// The inner product of the values with their gradients has the gradients of the loss.
Result<graph::Model> BackwardModel(const std::vector<FormPtr>& forms,
                                   const std::vector<Learned>& learned) {
  graph::Model model = NewModel();
  Nodes nodes(model.graph.get(), "forms");
  const EmittedForms emitted = EmitAll(forms, learned, &nodes);
  AddFloatInput(model.graph.get(), kPenaltyRate, Shape{});
  std::string loss = nodes.Scalar(0), penalty = nodes.Scalar(0);
  int64_t penalized = 0;
  for (size_t i = 0; i < forms.size(); ++i) {
    const std::string gradient = forms[i]->value() + "/gradient";
    AddFloatInput(model.graph.get(), gradient, forms[i]->start().shape());
    const std::string product = nodes.Add("Mul", {emitted.values[i], gradient});
    loss = nodes.Add("Add", {loss, nodes.Add("ReduceSum", {product}, {{"keepdims", int64_t{0}}})});
    penalized += forms[i]->penalized();
  }
  for (const std::string& one : emitted.penalties) penalty = nodes.Add("Add", {penalty, one});
  const std::string mean = nodes.Add(
      "Mul", {penalty, nodes.Scalar(penalized > 0 ? 1.0f / static_cast<float>(penalized) : 0)});
  if (penalized > 0) loss = nodes.Add("Add", {loss, nodes.Add("Mul", {mean, kPenaltyRate})});
  std::vector<std::string> names;
  for (const Learned& one : learned) names.push_back(one.name);
  ASSIGN_OR_RETURN(const std::vector<std::string> gradients, grad::Backward(&model, loss, names));
  for (const std::string& gradient : gradients)
    model.graph->outputs.push_back({.name = gradient, .dtype = DType::kFloat});
  model.graph->outputs.push_back({.name = mean, .dtype = DType::kFloat});
  return model;
}

size_t PlaceOf(const std::vector<Learned>& all, const std::string& name) {
  size_t place = 0;
  while (place < all.size() && all[place].name != name) ++place;
  INVARIANT(place < all.size(), "a learned tensor of the forms");
  return place;
}

Tensor ScalarOf(double value) { return Tensor::Scalar(static_cast<float>(value)); }

}  // namespace

std::vector<Learned> LearnedOf(const std::vector<FormPtr>& forms) {
  std::vector<Learned> learned;
  std::set<std::string> names;
  for (const FormPtr& form : forms)
    for (const Learned& one : form->learned())
      if (names.insert(one.name).second) learned.push_back(one);
  return learned;
}

std::vector<Tensor> OwnOf(const Form& form, const std::vector<Learned>& all,
                          const std::vector<Tensor>& values) {
  std::vector<Tensor> own;
  for (const Learned& one : form.learned()) own.push_back(values[PlaceOf(all, one.name)]);
  return own;
}

Result<FormsModel> FormsModel::Create(const std::vector<FormPtr>& forms) {
  FormsModel made;
  made.forms_ = &forms;
  made.learned_ = LearnedOf(forms);
  graph::Model forward = NewModel();
  Nodes nodes(forward.graph.get(), "forms");
  for (const std::string& value : EmitAll(forms, made.learned_, &nodes).values)
    forward.graph->outputs.push_back({.name = value, .dtype = DType::kFloat});
  ASSIGN_OR_RETURN(made.forward_, engine::Executor::Create(forward));
  ASSIGN_OR_RETURN(const graph::Model backward, BackwardModel(forms, made.learned_));
  ASSIGN_OR_RETURN(made.backward_, engine::Executor::Create(backward));
  return made;
}

Result<std::vector<Tensor>> FormsModel::Values(const std::vector<Tensor>& learned) const {
  std::vector<Tensor> inputs = learned;
  inputs.push_back(ScalarOf(2));  // no value depends on the sharpness
  return forward_->Run(inputs);
}

std::vector<Tensor> FormsModel::Finals(const std::vector<Tensor>& learned) const {
  std::vector<Tensor> values;
  for (const FormPtr& form : *forms_)
    values.push_back(form->Final(OwnOf(*form, learned_, learned)));
  return values;
}

std::vector<Tensor> FormsModel::Settled(const std::vector<Tensor>& learned) const {
  std::vector<Tensor> settled = learned;
  for (const FormPtr& form : *forms_) {
    const std::vector<Tensor> own = form->Settled(OwnOf(*form, learned_, learned));
    for (size_t i = 0; i < own.size(); ++i)
      settled[PlaceOf(learned_, form->learned()[i].name)] = own[i];
  }
  return settled;
}

Result<FormsModel::Step> FormsModel::Gradients(const std::vector<Tensor>& learned,
                                               const std::vector<Tensor>& of_values,
                                               double sharpness, double penalty_rate) const {
  std::vector<Tensor> inputs = learned;
  inputs.push_back(ScalarOf(sharpness));
  inputs.push_back(ScalarOf(penalty_rate));
  inputs.insert(inputs.end(), of_values.begin(), of_values.end());
  ASSIGN_OR_RETURN(std::vector<Tensor> outputs, backward_->Run(inputs));
  Step step{.penalty = outputs.back().data<float>()[0]};
  outputs.pop_back();
  step.gradients = std::move(outputs);
  return step;
}

}  // namespace roundel::tune
