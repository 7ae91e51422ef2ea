#include "lib/engine/run_state.h"

#include <cstring>
#include <utility>

#include "lib/base/text.h"
#include "lib/fast/integer/codes.h"

namespace roundel::engine {

void RunState::Begin(const std::string& signature, bool recurs) {
  if (constants_.empty()) {
    constants_.resize(plan_.slots.size());
    for (size_t i = 0; i < plan_.slots.size(); ++i)
      if (const auto& constant = plan_.slots[i].constant; constant && constant->defined())
        constants_[i] = {.shape = constant->shape(), .data = *constant};
  }
  arena_.Begin(signature, recurs);
  entries_.assign(plan_.slots.size(), {});
}

void RunState::End(bool complete) {
  for (Entry& entry : entries_) {
    Drop(&entry.value);
    Drop(&entry.converted);
  }
  arena_.End(complete);
}

void RunState::Drop(std::optional<Value>* value) {
  if (!*value) return;
  const int block = (*value)->block;
  value->reset();
  if (block >= 0) arena_.Release(block);
}

void RunState::Drop(std::list<Value>* values) {
  for (const Value& value : *values)
    if (value.block >= 0) arena_.Release(value.block);
  values->clear();
}

void RunState::Release(int slot) {
  Drop(&entries_[slot].value);
  Drop(&entries_[slot].converted);
}

void RunState::Set(int slot, Value value) {
  Release(slot);
  entries_[slot].value = std::move(value);
}

void RunState::SetInput(int slot, const Datum& datum) {
  Set(slot, {.shape = datum.tensor.shape(), .data = datum.tensor, .items = datum.items});
}

bool RunState::Has(int slot) const {
  return plan_.slots[slot].constant || entries_[slot].value.has_value();
}

const Value& RunState::value(int slot) const {
  return plan_.slots[slot].constant ? constants_[slot] : *entries_[slot].value;
}
DType RunState::dtype(int slot) const { return value(slot).dtype(); }
const Shape& RunState::shape(int slot) const { return value(slot).shape; }

Result<Value> RunState::NewValue(DType type, const Shape& shape, Layout layout) {
  ASSIGN_OR_RETURN(const int64_t count, CheckedNumElements(shape, type));
  ASSIGN_OR_RETURN(const int block, arena_.Allocate(ByteSize(type, count)));
  return Value{shape, layout,
               Tensor::Borrow(type, PhysicalShape(shape, layout), arena_.Data(block)), block};
}

Result<const Value*> RunState::InForm(int slot, Layout layout, bool codes) {
  const auto fits = [&](const Value& v) {
    return v.layout == layout && (v.codes_of != nullptr) == codes;
  };
  const Value& source = value(slot);
  if (fits(source)) return &source;
  std::list<Value>& converted = entries_[slot].converted;
  for (const Value& known : converted)
    if (fits(known)) return &known;
  if (codes && !source.codes_of) return InternalError("this value is not held as codes");
  const Value* from = &source;
  if (source.codes_of && !codes) {
    // Bytes are cheaper to convert than floats.
    ASSIGN_OR_RETURN(from, InForm(slot, layout, true));
  }
  ASSIGN_OR_RETURN(Value made, from->layout == layout ? ToFloats(*from) : ToLayout(*from, layout));
  return &converted.emplace_back(std::move(made));
}

Result<Value> RunState::ToLayout(const Value& source, Layout layout) {
  const DType type = source.data.dtype();
  if (LayoutsCoincide(source.shape)) {
    if (source.block >= 0) arena_.Retain(source.block);
    return Value{source.shape, layout, source.data.Reshaped(PhysicalShape(source.shape, layout)),
                 source.block, source.codes_of};
  }
  ASSIGN_OR_RETURN(Value made, NewValue(type, source.shape, layout));
  made.codes_of = source.codes_of;
  CopyInLayout(source, arena_.Data(made.block));
  return made;
}

// Copies the elements to `to`, in the other layout; floats, 32-bit sums or bytes.
void RunState::CopyInLayout(const Value& source, void* to) {
  if (BitWidth(source.data.dtype()) == 32)
    ConvertLayout(source.shape, static_cast<const float*>(source.data.raw()), source.layout,
                  static_cast<float*>(to));
  else
    ConvertLayout(source.shape, static_cast<const uint8_t*>(source.data.raw()), source.layout,
                  static_cast<uint8_t*>(to));
}

Result<Value> RunState::ToFloats(const Value& source) {
  ASSIGN_OR_RETURN(Value made, NewValue(DType::kFloat, source.shape, source.layout));
  DecodeBytes(source.data.raw(), *source.codes_of, made.data.size(),
              made.data.mutable_data<float>());
  return made;
}

Result<Value> RunState::ToCodes(const Value& source, const quant::Encoding& encoding) {
  ASSIGN_OR_RETURN(Value made, NewValue(encoding.grid.storage_type(), source.shape, source.layout));
  made.codes_of = &encoding;
  EncodeBytes(source.data.data<float>(), encoding, made.data.size(), arena_.Data(made.block));
  return made;
}

Tensor RunState::OwnTensor(int slot) const {
  const Value& own = value(slot);
  return own.block < 0 && own.layout == Layout::kPlain && !own.codes_of ? own.data : Tensor();
}

// ---- operations of the executor on values

Status RunState::Quantize(int slot) {
  const Slot& plan_slot = plan_.slots[slot];
  if (!plan_slot.encoding) return OkStatus();
  const quant::Encoding& encoding = *plan_slot.encoding;
  if (const quant::Encoding* held = entries_[slot].value->codes_of) {
    if (held->grid == encoding.grid && held->params == encoding.params) return OkStatus();
    ASSIGN_OR_RETURN(Value floats, ToFloats(*entries_[slot].value));
    Set(slot, std::move(floats));
  }
  const Value& current = *entries_[slot].value;
  const auto where = [&] { return StrCat("encoding of '", plan_slot.name, "'"); };
  if (current.dtype() != DType::kFloat)
    return ModelError(
        StrCat(where(), ": holds ", DTypeName(current.dtype()), ", only float32 can be quantized"));
  Status fits = quant::CheckEncoding(encoding, current.shape);
  if (!fits.ok()) return std::move(fits).At(where());
  if (!plan_slot.as_codes) return QuantizeFloats(slot, encoding);
  ASSIGN_OR_RETURN(Value codes, ToCodes(current, encoding));
  Set(slot, std::move(codes));
  return OkStatus();
}

// Rounds floats to the grid.
Status RunState::QuantizeFloats(int slot, const quant::Encoding& encoding) {
  const Value& current = *entries_[slot].value;
  if (encoding.granularity != quant::Granularity::kTensor) {
    ASSIGN_OR_RETURN(const Value* plain, InForm(slot, Layout::kPlain));
    quant::Encoding without_codes = encoding;
    without_codes.codes.reset();
    Tensor quantized = quant::FakeQuantizeTensor(plain->data, without_codes);
    Set(slot, {quantized.shape(), Layout::kPlain, quantized});
    return OkStatus();
  }
  const bool in_place = current.block >= 0 && arena_.references(current.block) == 1;
  const float* from = current.data.data<float>();
  if (in_place) {
    auto* block = static_cast<char*>(arena_.Data(current.block));
    auto* to = block + (reinterpret_cast<const char*>(from) - block);
    quant::FakeQuantize(from, reinterpret_cast<float*>(to), current.data.size(), encoding.params[0],
                        encoding.grid);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(Value made, NewValue(DType::kFloat, current.shape, current.layout));
  quant::FakeQuantize(from, made.data.mutable_data<float>(), made.data.size(), encoding.params[0],
                      encoding.grid);
  Set(slot, std::move(made));
  return OkStatus();
}

Result<const float*> RunState::Elements(int slot, bool any_order) {
  const Layout layout = any_order ? value(slot).layout : Layout::kPlain;
  ASSIGN_OR_RETURN(const Value* found, InForm(slot, layout));
  return found->data.data<float>();
}

Result<Datum> RunState::TakeOutput(int slot) {
  const Value& own = value(slot);
  if (own.block < 0 && own.layout == Layout::kPlain && !own.codes_of)
    return Datum(own.data, own.items);
  // Writes directly into a tensor of the caller.
  Tensor copy = Tensor::Empty(own.dtype(), own.shape);
  const Value* result = &own;
  if (own.codes_of) {
    ASSIGN_OR_RETURN(result, InForm(slot, own.layout));
  }
  if (result->layout == Layout::kPlain)
    std::memcpy(copy.mutable_raw(), result->data.raw(), static_cast<size_t>(copy.byte_size()));
  else
    CopyInLayout(*result, copy.mutable_raw());
  return Datum(std::move(copy));
}

}  // namespace roundel::engine
