// How a RunState runs one unit: its fast kernel, or the plain kernel of its node.

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/engine/plain_run.h"
#include "lib/engine/run_state.h"

namespace roundel::engine {

// ---- fast kernels

class RunState::Context : public FastContext {
 public:
  Context(RunState* state, const Unit& unit, const std::vector<int>& dies)
      : state_(*state), unit_(unit), dies_(dies), outputs_(unit.outputs.size()) {}
  ~Context() override {
    for (int block : scratch_) state_.arena_.Release(block);
  }

  size_t input_count() const override { return unit_.inputs.size(); }
  const Value* input(size_t i) const override {
    if (i >= unit_.inputs.size() || unit_.inputs[i] == kNoSlot) return nullptr;
    return &state_.value(unit_.inputs[i]);
  }
  const float* Data(size_t i, Layout layout) override {
    const Value* wanted = input(i);
    if (!wanted || wanted->dtype() != DType::kFloat || !HasLayout(*wanted, layout)) return nullptr;
    const Result<const Value*> found = state_.InForm(unit_.inputs[i], layout);
    return found.ok() ? (*found)->data.data<float>() : nullptr;
  }
  const uint8_t* Codes(size_t i, Layout layout) override {
    const Value* wanted = input(i);
    if (!wanted || !wanted->codes_of || !HasLayout(*wanted, layout)) return nullptr;
    const Result<const Value*> found = state_.InForm(unit_.inputs[i], layout, true);
    return found.ok() ? static_cast<const uint8_t*>((*found)->data.raw()) : nullptr;
  }
  const void* Bytes(size_t i, Layout layout) override {
    const Value* wanted = input(i);
    if (!wanted || wanted->codes_of || BitWidth(wanted->dtype()) != 8 ||
        !HasLayout(*wanted, layout))
      return nullptr;
    const Result<const Value*> found = state_.InForm(unit_.inputs[i], layout);
    return found.ok() ? (*found)->data.raw() : nullptr;
  }
  bool CanOverwrite(size_t i) const override {
    const Value* wanted = input(i);
    if (!wanted || wanted->block < 0 || wanted->dtype() != DType::kFloat || wanted->codes_of ||
        state_.arena_.references(wanted->block) != 1)
      return false;
    const int slot = unit_.inputs[i];
    return std::find(dies_.begin(), dies_.end(), slot) != dies_.end() &&
           std::count(unit_.inputs.begin(), unit_.inputs.end(), slot) == 1;
  }
  float* Output(const Shape& shape, Layout layout) override {
    Result<Value> made = state_.NewValue(DType::kFloat, shape, layout);
    if (!made.ok()) return nullptr;
    output() = std::move(*made);
    return static_cast<float*>(state_.arena_.Data(output()->block));
  }
  void* OutputOf(size_t i, DType type, const Shape& shape, Layout layout) override {
    INVARIANT(i < outputs_.size(), "the kernel makes a result that its node does not have");
    Result<Value> made = state_.NewValue(type, shape, layout);
    if (!made.ok()) return nullptr;
    outputs_[i] = std::move(*made);
    return state_.arena_.Data(outputs_[i]->block);
  }
  uint8_t* OutputCodes(const Shape& shape, Layout layout,
                       const quant::Encoding& encoding) override {
    Result<Value> made = state_.NewValue(encoding.grid.storage_type(), shape, layout);
    if (!made.ok()) return nullptr;
    output() = std::move(*made);
    output()->codes_of = &encoding;
    return static_cast<uint8_t*>(state_.arena_.Data(output()->block));
  }
  float* OutputOver(size_t i, const Shape& shape, Layout layout) override {
    OutputView(i, shape, layout);
    return static_cast<float*>(state_.arena_.Data(output()->block));
  }
  void OutputView(size_t i, const Shape& shape, Layout layout) override {
    const Value& source = *input(i);
    output() = Value{shape, layout, source.data.Reshaped(PhysicalShape(shape, layout)),
                     source.block, source.codes_of};
    if (source.block >= 0) state_.arena_.Retain(source.block);
  }
  void* Scratch(int64_t bytes) override {
    const Result<int> block = state_.arena_.Allocate(bytes);
    if (!block.ok()) return nullptr;
    scratch_.push_back(*block);
    return state_.arena_.Data(*block);
  }
  std::optional<Value>& output() { return outputs_[0]; }
  std::vector<std::optional<Value>>& outputs() { return outputs_; }

 private:
  static bool HasLayout(const Value& value, Layout layout) {
    const auto rank = static_cast<int64_t>(value.shape.size());
    return layout == Layout::kPlain ||
           (rank >= kMinChannelsLastRank && rank <= kMaxChannelsLastRank);
  }

  RunState& state_;
  const Unit& unit_;
  const std::vector<int>& dies_;
  std::vector<int> scratch_;
  std::vector<std::optional<Value>> outputs_;
};

bool RunState::RunFast(const Unit& unit, const std::vector<int>& dies) {
  for (const std::unique_ptr<FastKernel>& kernel : unit.fast) {
    Context context(this, unit, dies);
    const bool done = kernel->Run(context);
    INVARIANT(!done || context.output(), "a fast kernel put nothing out");
    for (size_t i = 0; i < unit.outputs.size(); ++i) {
      if (done && unit.outputs[i] != kNoSlot)
        Set(unit.outputs[i], std::move(*context.outputs()[i]));
      else
        Drop(&context.outputs()[i]);
    }
    if (done) return true;
  }
  return false;
}

Status RunState::Run(const Unit& unit, const std::vector<int>& dies) {
  return RunFast(unit, dies) ? OkStatus() : RunPlainNode(unit);
}

// ---- plain kernels

Status RunState::RunPlainNode(const Unit& unit, Computes what) {
  std::vector<PlainInput> inputs;
  inputs.reserve(unit.inputs.size());
  Tensor stand_in;  // its elements may be in another order
  for (int slot : unit.inputs) {
    if (slot == kNoSlot) {
      inputs.push_back(nullptr);
      continue;
    }
    if (what == Computes::kShape && value(slot).data.defined()) {
      stand_in = value(slot).data.Reshaped(value(slot).shape);
      inputs.push_back(&stand_in);
      continue;
    }
    ASSIGN_OR_RETURN(const Value* plain, InForm(slot, Layout::kPlain));
    inputs.emplace_back(plain->data.defined() ? &plain->data : nullptr,
                        plain->items ? &plain->items : nullptr);
  }
  constexpr int64_t kSmallBytes = 4096;
  std::vector<int> allocated;
  const auto allocate = [&](DType type, const Shape& shape) -> Result<Tensor> {
    if (what != Computes::kValues) {
      ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, type));
      if (ByteSize(type, count) <= kSmallBytes) return Tensor::Empty(type, shape);
    }
    ASSIGN_OR_RETURN(Value made, NewValue(type, shape, Layout::kPlain));
    allocated.push_back(made.block);
    return made.data;
  };
  std::vector<Datum> outputs;
  const Status status = RunPlain(plan_.nodes[unit.nodes[0]], inputs, allocate, &outputs);
  if (status.ok())
    for (size_t i = 0; i < outputs.size(); ++i)
      if (unit.outputs[i] != kNoSlot) SetPlain(unit.outputs[i], std::move(outputs[i]));
  for (int block : allocated) arena_.Release(block);
  return status;
}

void RunState::SetPlain(int slot, Datum made) {
  if (!made.is_tensor()) return SetInput(slot, made);
  // A kernel may return an input with another shape: then the block has two owners.
  Tensor& data = made.tensor;
  const int block = data.dtype() == DType::kString ? -1 : arena_.Find(data.raw());
  if (block >= 0) arena_.Retain(block);
  const Shape shape = data.shape();
  Set(slot, {shape, Layout::kPlain, std::move(data), block});
}

}  // namespace roundel::engine
