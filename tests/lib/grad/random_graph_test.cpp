// Random graphs of smooth operators: values with several uses, results that nothing reads, shapes that
// broadcast. The gradients of all inputs are compared with differences.

#include <algorithm>
#include <string>
#include <vector>

#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {
namespace {

class GraphMaker {
 public:
  explicit GraphMaker(uint64_t seed) : draw_(seed) {
    for (int64_t n = draw_.Int(1, 2); n > 0; --n) {
      Shape shape;
      for (int64_t rank = draw_.Int(1, 3); rank > 0; --rank) shape.push_back(draw_.Int(1, 4));
      values_.push_back({NewInput(shape), shape});
    }
    for (int64_t n = draw_.Int(3, 9); n > 0; --n) AddNode();
  }

  // The last values are results.
  std::string Text() const {
    std::vector<std::string> outputs;
    for (size_t i = std::max<size_t>(values_.size(), 2) - 2; i < values_.size(); ++i)
      if (values_[i].name.starts_with("t")) outputs.push_back("float32 " + values_[i].name);
    return StrCat("opset 17, roundel 1, com.microsoft 1\ngraph g (", Join(inputs_, ", "), ") => (",
                  Join(outputs, ", "), ") {\n", body_, "}");
  }

 private:
  struct Value {
    std::string name;
    Shape shape;
  };

  std::string NewInput(const Shape& shape) {
    const std::string name = StrCat("x", inputs_.size());
    inputs_.push_back(StrCat("float32[", Join(shape, ","), "] ", name));
    return name;
  }
  const Value& Pick() {
    return values_[static_cast<size_t>(draw_.Int(0, static_cast<int64_t>(values_.size()) - 1))];
  }
  void Put(const Shape& shape, const std::string& call) {
    const std::string name = StrCat("t", values_.size());
    body_ += StrCat("  ", name, " = ", call, "\n");
    values_.push_back({name, shape});
  }
  std::string Constant(const std::vector<int64_t>& values) {
    const std::string name = StrCat("c", constants_++);
    body_ += StrCat("  int64[", values.size(), "] ", name, " = {", Join(values, ", "), "}\n");
    return name;
  }

  void AddNode() {
    switch (draw_.Int(0, 7)) {
      case 0: return Unary();
      case 1: return Binary();
      case 2: return Product();
      case 3: return Transpose();
      case 4: return Reduce();
      case 5: return Normalize();
      case 6: return Slice();
      default: return Reshape();
    }
  }

  void Unary() {
    static const std::vector<std::string> functions = {"Tanh", "Sigmoid", "Softplus",
                                                       "Erf",  "Sin",     "Neg"};
    const Value x = Pick();
    Put(x.shape, StrCat(functions[static_cast<size_t>(draw_.Int(0, 5))], "(", x.name, ")"));
  }
  // With another value if the shapes broadcast, else with a new input of some of its axes.
  void Binary() {
    static const std::vector<std::string> functions = {"Add", "Sub", "Mul"};
    const Value a = Pick();
    Value b = Pick();
    Shape shape(std::max(a.shape.size(), b.shape.size()), 1);
    bool fits = true;
    for (size_t i = 0; i < shape.size(); ++i) {
      const auto dim = [&](const Shape& s) {
        return i < s.size() ? s[s.size() - 1 - i] : int64_t{1};
      };
      const int64_t m = dim(a.shape), n = dim(b.shape);
      fits = fits && (m == n || m == 1 || n == 1);
      shape[shape.size() - 1 - i] = std::max(m, n);
    }
    if (!fits) {
      shape = a.shape;
      b.shape = a.shape;
      for (int64_t& dim : b.shape) dim = draw_.Chance(0.5) ? dim : 1;
      b.name = NewInput(b.shape);
    }
    const bool swapped = draw_.Chance(0.5);
    Put(shape, StrCat(functions[static_cast<size_t>(draw_.Int(0, 2))], "(",
                      swapped ? b.name : a.name, ", ", swapped ? a.name : b.name, ")"));
  }
  void Product() {
    const Value a = Pick();
    const int64_t columns = draw_.Int(1, 3);
    Shape shape = a.shape;
    const std::string w = NewInput({shape.back(), columns});
    shape.back() = columns;
    Put(shape, StrCat("MatMul(", a.name, ", ", w, ")"));
  }
  void Transpose() {
    const Value x = Pick();
    std::vector<int64_t> perm;
    for (size_t i = 0; i < x.shape.size(); ++i) perm.push_back(static_cast<int64_t>(i));
    std::rotate(perm.begin(), perm.begin() + draw_.Int(0, static_cast<int64_t>(perm.size()) - 1),
                perm.end());
    Shape shape;
    for (const int64_t axis : perm) shape.push_back(x.shape[static_cast<size_t>(axis)]);
    Put(shape, StrCat("Transpose<perm=[", Join(perm, ","), "]>(", x.name, ")"));
  }
  void Reduce() {
    const Value x = Pick();
    const int64_t axis = draw_.Int(0, static_cast<int64_t>(x.shape.size()) - 1);
    Shape shape = x.shape;
    shape[static_cast<size_t>(axis)] = 1;
    Put(shape, StrCat("ReduceMean<axes=[", axis, "]>(", x.name, ")"));
  }
  void Normalize() {
    const Value x = Pick();
    const int64_t axis = draw_.Int(0, static_cast<int64_t>(x.shape.size()) - 1);
    if (draw_.Chance(0.5)) return Put(x.shape, StrCat("Softmax<axis=", axis, ">(", x.name, ")"));
    const std::string gamma = NewInput({x.shape.back()});
    Put(x.shape, StrCat("LayerNormalization<axis=-1, epsilon=0.1>(", x.name, ", ", gamma, ")"));
  }
  void Slice() {
    const Value x = Pick();
    const int64_t axis = draw_.Int(0, static_cast<int64_t>(x.shape.size()) - 1);
    Shape shape = x.shape;
    int64_t& dim = shape[static_cast<size_t>(axis)];
    const int64_t start = draw_.Int(0, dim - 1), end = dim;
    dim -= start;
    const std::string s = Constant({start}), e = Constant({end}), a = Constant({axis});
    Put(shape, StrCat("Slice(", x.name, ", ", s, ", ", e, ", ", a, ")"));
  }
  void Reshape() {
    const Value x = Pick();
    const Shape shape = {x.shape[0], NumElements(x.shape) / x.shape[0]};
    const std::string target = Constant({shape[0], -1});
    Put(shape, StrCat("Reshape(", x.name, ", ", target, ")"));
  }

  Draw draw_;
  std::vector<Value> values_;
  std::vector<std::string> inputs_;
  std::string body_;
  int64_t constants_ = 0;
};

}  // namespace

TEST_CASE("gradients of random graphs") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    const CheckOptions options{.seed = seed, .step = 5e-3, .tolerance = 4e-3, .elements = 3};
    GradCheck(GraphMaker(seed).Text(), options).Run();
  }
}

}  // namespace roundel::grad
