// Einsum: sums of products over named axes, with ellipsis and implicit output.

#include <algorithm>
#include <array>
#include <cctype>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// Subscripts as numbers: letters by character code, the axes of an ellipsis from kEllipsis up
// (counted from the last, so that shorter ellipses broadcast).
using Labels = std::vector<int>;
constexpr int kEllipsis = 256;
constexpr int kMaxLabels = 512;

struct Equation {
  std::vector<Labels> operands;
  Labels output;
};

Status BadEquation(const std::string& text) {
  return ModelError(StrCat("Einsum equation '", text, "' does not fit its inputs"));
}

// Labels of one term; the ellipsis stands for `dots` axes.
Result<Labels> ParseTerm(const std::string& term, int64_t dots, const std::string& equation) {
  Labels labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(static_cast<unsigned char>(term[i]));
    } else if (term.compare(i, 3, "...") == 0) {
      for (int64_t k = dots; k-- > 0;) labels.push_back(kEllipsis + static_cast<int>(k));
      i += 2;
    } else {
      return BadEquation(equation);
    }
  }
  return labels;
}

// Without "->": ellipsis axes first, then letters that occur once, in alphabetical order.
Labels ImplicitOutput(const std::vector<Labels>& operands) {
  std::array<int, kMaxLabels> uses{};
  Labels output;
  int dots = 0;
  for (const Labels& labels : operands) {
    for (int label : labels) {
      ++uses[label];
      if (label >= kEllipsis) dots = std::max(dots, label - kEllipsis + 1);
    }
  }
  while (dots-- > 0) output.push_back(kEllipsis + dots);
  for (int label = 0; label < kEllipsis; ++label)
    if (uses[label] == 1) output.push_back(label);
  return output;
}

Result<Equation> ParseEquation(const OpContext& context) {
  const std::string original = context.node().String("equation", "");
  std::string text;
  for (char c : original)
    if (c != ' ') text.push_back(c);
  const size_t arrow = text.find("->");
  const std::vector<std::string> terms = Split(text.substr(0, arrow), ',');
  if (terms.size() != context.input_count()) return BadEquation(original);
  Equation equation;
  int64_t most_dots = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const bool has_dots = terms[i].find("...") != std::string::npos;
    const int64_t letters = static_cast<int64_t>(terms[i].size()) - (has_dots ? 3 : 0);
    const int64_t dots = context.input(i)->rank() - letters;
    if (dots < 0 || dots > 64 || (!has_dots && dots != 0)) return BadEquation(original);
    most_dots = std::max(most_dots, dots);
    ASSIGN_OR_RETURN(Labels labels, ParseTerm(terms[i], dots, original));
    if (static_cast<int64_t>(labels.size()) != context.input(i)->rank())
      return BadEquation(original);
    equation.operands.push_back(std::move(labels));
  }
  if (arrow == std::string::npos) {
    equation.output = ImplicitOutput(equation.operands);
  } else {
    ASSIGN_OR_RETURN(equation.output, ParseTerm(text.substr(arrow + 2), most_dots, original));
  }
  return equation;
}

// The loop nest: output labels, then summed labels; one stride per operand and label.
struct LoopNest {
  Shape output, summed;
  std::vector<std::vector<int64_t>> output_strides, summed_strides;  // [operand][axis]
};

Result<LoopNest> BuildLoops(const OpContext& context, const Equation& equation) {
  const std::string text = context.node().String("equation", "");
  std::array<int64_t, kMaxLabels> dims;
  dims.fill(-1);
  for (size_t i = 0; i < equation.operands.size(); ++i) {
    for (size_t axis = 0; axis < equation.operands[i].size(); ++axis) {
      int64_t& dim = dims[equation.operands[i][axis]];
      const int64_t size = context.input(i)->shape()[axis];
      if (dim != -1 && dim != 1 && size != 1 && size != dim) return BadEquation(text);
      if (dim == -1 || dim == 1) dim = size;
    }
  }
  LoopNest nest;
  Labels order = equation.output;
  for (size_t k = 0; k < order.size(); ++k)
    if (dims[order[k]] == -1 || std::count(order.begin(), order.end(), order[k]) > 1)
      return BadEquation(text);
  for (int label = 0; label < kMaxLabels; ++label)
    if (dims[label] != -1 && std::find(order.begin(), order.end(), label) == order.end())
      order.push_back(label);
  nest.output_strides.resize(equation.operands.size());
  nest.summed_strides.resize(equation.operands.size());
  for (size_t k = 0; k < order.size(); ++k) {
    const bool is_output = k < equation.output.size();
    (is_output ? nest.output : nest.summed).push_back(dims[order[k]]);
    for (size_t i = 0; i < equation.operands.size(); ++i) {
      const std::vector<int64_t> strides = Strides(context.input(i)->shape());
      int64_t stride = 0;  // repeated labels select the diagonal
      for (size_t axis = 0; axis < strides.size(); ++axis)
        if (equation.operands[i][axis] == order[k] && context.input(i)->shape()[axis] != 1)
          stride += strides[axis];
      (is_output ? nest.output_strides : nest.summed_strides)[i].push_back(stride);
    }
  }
  return nest;
}

template <typename T>
Status EinsumTyped(OpContext& context, const LoopNest& nest) {
  using Total = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  RETURN_IF_ERROR(CheckedNumElements(nest.summed, DType::kDouble).status());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<T>::value, nest.output));
  const size_t operands = context.input_count();
  T* to = y->mutable_data<T>();
  const auto offset = [](const Odometer& at, const std::vector<int64_t>& strides) {
    int64_t sum = 0;
    for (size_t k = 0; k < strides.size(); ++k) sum += at[k] * strides[k];
    return sum;
  };
  for (Odometer out(nest.output); !out.done(); out.Next()) {
    std::vector<const T*> start(operands);
    for (size_t i = 0; i < operands; ++i)
      start[i] = context.input(i)->template data<T>() + offset(out, nest.output_strides[i]);
    Total total{0};
    for (Odometer in(nest.summed); !in.done(); in.Next()) {
      Total product{1};
      for (size_t i = 0; i < operands; ++i)
        product *=
            static_cast<Total>(static_cast<Wide<T>>(start[i][offset(in, nest.summed_strides[i])]));
      total += product;
    }
    *to++ = ConvertTo<T>(total);
  }
  return OkStatus();
}

Status Einsum(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(1, context.input_count())));
  for (size_t i = 1; i < context.input_count(); ++i)
    if (context.input(i)->dtype() != context.input(0)->dtype())
      return ModelError("the operands of Einsum have different types");
  ASSIGN_OR_RETURN(const Equation equation, ParseEquation(context));
  ASSIGN_OR_RETURN(const LoopNest nest, BuildLoops(context, equation));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    return EinsumTyped<typename decltype(tag)::Type>(context, nest);
  });
}

}  // namespace

std::vector<OpEntry> EinsumRows() {
  return {
      {"Einsum", "", 12, kLatest, &Einsum},
  };
}

}  // namespace roundel::engine
