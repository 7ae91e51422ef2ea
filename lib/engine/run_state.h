#pragma once
// The values of one run and their memory.

#include <list>
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/arena.h"
#include "lib/engine/plan.h"
#include "lib/fast/value.h"

namespace roundel::engine {

class RunState {
 public:
  explicit RunState(const Plan& plan) : plan_(plan) {}

  // `recurs`: runs with this signature are frequent enough for a separate memory layout.
  void Begin(const std::string& signature, bool recurs = true);
  void End(bool complete);

  void SetInput(int slot, const Datum& datum);
  // Runs a unit of one node; `dies`: slots whose memory it may take over.
  Status Run(const Unit& unit, const std::vector<int>& dies);
  // What a node computes. Small results of nodes that compute sizes are outside of the arena, so
  // that its layout does not depend on whether they run. kShape uses only the shape of the input.
  enum class Computes { kValues, kSizes, kShape };
  Status RunPlainNode(const Unit& unit, Computes what = Computes::kValues);
  // The value outside the arena, row-major; undefined for values in the arena.
  Tensor OwnTensor(int slot) const;
  // Runs the fast kernel of a unit, if it has one; false if it declined.
  bool RunFast(const Unit& unit, const std::vector<int>& dies);
  void Release(int slot);
  // Quantizes a new value to its slot's grid, as floats or as codes.
  Status Quantize(int slot);

  bool Has(int slot) const;
  DType dtype(int slot) const;
  const Shape& shape(int slot) const;
  Layout layout(int slot) const { return value(slot).layout; }
  // Elements of a float value; row-major, or in memory order. Valid until the slot changes.
  Result<const float*> Elements(int slot, bool any_order);
  int64_t activation_bytes() const { return arena_.planned_bytes(); }
  // The value, outside of the arena.
  Result<Datum> TakeOutput(int slot);

 private:
  class Context;

  struct Entry {
    std::optional<Value> value;
    std::list<Value> converted;  // the same value in other forms that readers need
  };

  const Value& value(int slot) const;
  // The value in `layout`, as floats unless `codes` (which it then must be held as), converted if
  // it is not; kept until the slot is released.
  Result<const Value*> InForm(int slot, Layout layout, bool codes = false);
  Result<Value> ToLayout(const Value& source, Layout layout);
  static void CopyInLayout(const Value& source, void* to);
  Result<Value> ToFloats(const Value& source);
  Result<Value> ToCodes(const Value& source, const quant::Encoding& encoding);
  Status QuantizeFloats(int slot, const quant::Encoding& encoding);
  Result<Value> NewValue(DType type, const Shape& shape, Layout layout);
  void SetPlain(int slot, Datum made);
  void Set(int slot, Value value);
  void Drop(std::optional<Value>* value);
  void Drop(std::list<Value>* values);

  const Plan& plan_;
  Arena arena_;
  std::vector<Entry> entries_;
  std::vector<Value> constants_;  // by slot; those of constant slots
};

}  // namespace roundel::engine
