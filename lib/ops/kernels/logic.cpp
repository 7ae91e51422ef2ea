// Comparisons, boolean and bitwise operators, Where.
#pragma GCC optimize("O3")

#include "lib/ops/kernels/elementwise_binary.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

struct EqualOp {
  template <typename T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct GreaterOp {
  template <typename T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterOrEqualOp {
  template <typename T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct LessOp {
  template <typename T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessOrEqualOp {
  template <typename T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};

Status EqualStrings(OpContext& context) {
  const Tensor &a = *context.input(0), &b = *context.input(1);
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({a.shape(), b.shape()}));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kBool, plan.shape));
  bool* out = y->mutable_data<bool>();
  ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
      out[at + i] = a.strings()[in[0] + i * plan.step(0)] == b.strings()[in[1] + i * plan.step(1)];
  });
  return OkStatus();
}

template <typename Op>
Status Compare(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  const DType type = context.input(0)->dtype();
  if constexpr (std::is_same_v<Op, EqualOp>) {
    if (type == DType::kBool) return MapPairs<bool, bool>(context, Op{});
    if (type == DType::kString) return EqualStrings(context);
  }
  return VisitNumeric(
      type, [&](auto tag) { return MapPairs<typename decltype(tag)::Type, bool>(context, Op{}); });
}

struct AndOp {
  bool operator()(bool a, bool b) const { return a && b; }
};
struct OrOp {
  bool operator()(bool a, bool b) const { return a || b; }
};
struct XorOp {
  bool operator()(bool a, bool b) const { return a != b; }
};

template <typename Op>
Status Boolean(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  if (context.input(0)->dtype() != DType::kBool) return UnsupportedType(context.input(0)->dtype());
  return MapPairs<bool, bool>(context, Op{});
}

struct BitwiseAndOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitwiseOrOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitwiseXorOp {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

template <typename Op>
Status Bitwise(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  return VisitInteger(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapPairs<T, T>(context, Op{});
  });
}

// A shift by the width or more gives 0.
Status BitShift(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  const std::string direction = context.node().String("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return ModelError(StrCat("BitShift has no direction '", direction, "'"));
  const bool left = direction == "LEFT";
  return VisitInteger(context.input(0)->dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    if constexpr (std::is_signed_v<T>) {
      return UnsupportedType(DTypeOf<T>::value);
    } else {
      return MapPairs<T, T>(context, [left](T x, T by) {
        if (by >= sizeof(T) * 8) return T{0};
        return static_cast<T>(left ? uint64_t{x} << by : uint64_t{x} >> by);
      });
    }
  });
}

// ---- Where

template <typename T>
void WhereRun(const bool* c, int64_t step_c, const T* x, int64_t step_x, const T* y, int64_t step_y,
              T* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) out[i] = c[i * step_c] ? x[i * step_x] : y[i * step_y];
}

Status Where(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const Tensor &c = *context.input(0), &x = *context.input(1), &y = *context.input(2);
  if (c.dtype() != DType::kBool || x.dtype() != y.dtype())
    return ModelError(StrCat("Where needs a bool condition and two values of one type, not ",
                             DTypeName(c.dtype()), ", ", DTypeName(x.dtype()), " and ",
                             DTypeName(y.dtype())));
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({c.shape(), x.shape(), y.shape()}));
  return VisitBytes(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * result, NewOutput(context, 0, x.dtype(), plan.shape));
    const bool* conditions = c.data<bool>();
    const T *from_x = static_cast<const T*>(x.raw()), *from_y = static_cast<const T*>(y.raw());
    T* out = static_cast<T*>(result->mutable_raw());
    ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
      WhereRun(conditions + in[0], plan.step(0), from_x + in[1], plan.step(1), from_y + in[2],
               plan.step(2), out + at, n);
    });
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> LogicRows() {
  return {
      {"And", "", 1, kLatest, &Boolean<AndOp>},
      {"BitShift", "", 11, kLatest, &BitShift},
      {"BitwiseAnd", "", 18, kLatest, &Bitwise<BitwiseAndOp>},
      {"BitwiseOr", "", 18, kLatest, &Bitwise<BitwiseOrOp>},
      {"BitwiseXor", "", 18, kLatest, &Bitwise<BitwiseXorOp>},
      {"Equal", "", 1, kLatest, &Compare<EqualOp>},
      {"Greater", "", 1, kLatest, &Compare<GreaterOp>},
      {"GreaterOrEqual", "", 12, kLatest, &Compare<GreaterOrEqualOp>},
      {"Less", "", 1, kLatest, &Compare<LessOp>},
      {"LessOrEqual", "", 12, kLatest, &Compare<LessOrEqualOp>},
      {"Or", "", 1, kLatest, &Boolean<OrOp>},
      {"Where", "", 9, kLatest, &Where},
      {"Xor", "", 1, kLatest, &Boolean<XorOp>},
  };
}

}  // namespace roundel::engine
