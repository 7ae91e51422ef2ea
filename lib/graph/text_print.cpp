#include <charconv>
#include <cmath>

#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/graph/text.h"

namespace roundel::graph {
namespace {

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) ||
         std::string_view("_./:+-").find(c) != std::string_view::npos;
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += StrFormat("\\x%02x", c);
    } else {
      out += c;
    }
  }
  return out + '"';
}

bool IsWord(const std::string& text) {
  if (text.empty()) return false;
  for (const char c : text)
    if (!IsWordCharacter(c)) return false;
  return true;
}

std::string Name(const std::string& name) { return IsWord(name) ? name : Quoted(name); }

std::string Hex(const std::string& bytes) {
  std::string out;
  for (const unsigned char c : bytes) out += StrFormat("%02x", c);
  return out;
}

// The shortest digits that read back as the same float or double.
template <typename T>
std::string Shortest(T value) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

// Like Shortest, but never looks like an integer: attributes of the two kinds must differ.
std::string FloatLiteral(float value) {
  std::string text = Shortest(value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string Names(const std::vector<std::string>& names) {
  std::vector<std::string> quoted;
  for (const std::string& name : names) quoted.push_back(Name(name));
  return Join(quoted);
}

std::string Shaped(DType type, const std::string& dims) {
  return StrCat(type == DType::kUndefined ? "?" : DTypeName(type), dims);
}

std::string Elements(const Tensor& tensor) {
  std::vector<std::string> items;
  const DType type = tensor.dtype();
  if (type == DType::kString) {
    for (const std::string& text : tensor.strings()) items.push_back(Quoted(text));
  } else if (type == DType::kDouble) {
    for (const double value : tensor.span<double>()) items.push_back(Shortest(value));
  } else if (type == DType::kFloat || type == DType::kFloat16 || type == DType::kBfloat16) {
    const Tensor floats = tensor.ToFloat();
    for (const float value : floats.span<float>()) items.push_back(Shortest(value));
  } else if (type == DType::kUint64) {
    for (const uint64_t value : tensor.span<uint64_t>()) items.push_back(StrCat(value));
  } else if (IsInteger(type) || type == DType::kBool) {
    for (const int64_t value : tensor.ToInt64s()) items.push_back(StrCat(value));
  } else {  // complex and the small floats: their bytes
    const auto* bytes = static_cast<const char*>(tensor.raw());
    return StrCat("raw(\"", Hex({bytes, static_cast<size_t>(tensor.byte_size())}), "\")");
  }
  return StrCat("{", Join(items), "}");
}

std::string HashOf(const Tensor& tensor) {
  Hasher hasher;
  if (tensor.dtype() == DType::kString)
    for (const std::string& text : tensor.strings()) hasher.Add(text);
  else
    hasher.Add(tensor.raw(), static_cast<size_t>(tensor.byte_size()));
  return StrCat("hash(", hasher.Hex(), ")");
}

std::string DimText(const Dim& dim) {
  if (dim.value) return StrCat(*dim.value);
  if (dim.symbol.empty()) return "?";
  const bool like_number = std::isdigit(static_cast<unsigned char>(dim.symbol[0])) ||
                           dim.symbol[0] == '-' || dim.symbol[0] == '+';
  return like_number ? Quoted(dim.symbol) : Name(dim.symbol);
}

std::string TypeText(const ValueInfo& info) {
  if (info.dtype == DType::kUndefined && !info.type_bytes.empty())
    return StrCat("other(\"", Hex(info.type_bytes), "\")");
  if (!info.shape) return Shaped(info.dtype, "");
  std::vector<std::string> dims;
  for (const Dim& dim : *info.shape) dims.push_back(DimText(dim));
  return Shaped(info.dtype, StrCat("[", Join(dims, ","), "]"));
}

std::string Signature(const std::vector<ValueInfo>& values) {
  std::vector<std::string> items;
  for (const ValueInfo& value : values)
    items.push_back(StrCat(TypeText(value), " ", Name(value.name)));
  return StrCat("(", Join(items), ")");
}

class Printer {
 public:
  explicit Printer(int64_t max_elements) : max_elements_(max_elements) {}

  std::string ModelText(const Model& model) const {
    std::string out = StrCat(OpsetLine(model.opset_imports), "\n");
    if (model.ir_version != Model().ir_version)
      out += StrCat("ir_version ", model.ir_version, "\n");
    if (!model.producer_name.empty() || !model.producer_version.empty())
      out += StrCat("producer ", Quoted(model.producer_name), " ", Quoted(model.producer_version),
                    "\n");
    if (model.model_version != 0) out += StrCat("model_version ", model.model_version, "\n");
    if (!model.domain.empty()) out += StrCat("domain ", Quoted(model.domain), "\n");
    for (const auto& [key, value] : model.metadata)
      out += StrCat("metadata ", Quoted(key), " = ", Quoted(value), "\n");
    for (const Function& function : model.functions) out += FunctionText(function);
    return out + GraphText(*model.graph, "") + "\n";
  }

  std::string GraphText(const Graph& graph, const std::string& indent) const {
    const std::string deeper = indent + "  ";
    std::string out = StrCat("graph ", Name(graph.name), " ", Signature(graph.inputs), " => ",
                             Signature(graph.outputs), " {\n");
    for (const Initializer& initializer : graph.initializers())
      out += StrCat(deeper, Shaped(initializer.value.dtype(), DimsOf(initializer.value)), " ",
                    Name(initializer.name), " = ", TensorBody(initializer.value), "\n");
    for (const ValueInfo& info : graph.value_info)
      out += StrCat(deeper, TypeText(info), " ", Name(info.name), "\n");
    for (const NodePtr& node : graph.nodes()) out += StrCat(deeper, NodeText(*node, deeper), "\n");
    return out + indent + "}";
  }

  std::string NodeText(const Node& node, const std::string& indent) const {
    std::string out = node.name.empty() ? "" : StrCat("[", Name(node.name), "] ");
    out += node.outputs.empty() ? "()" : Names(node.outputs);
    out += StrCat(" = ", OpText(node.domain, node.op_type));
    std::vector<std::string> attributes;
    for (const Attribute& attribute : node.attributes)
      attributes.push_back(StrCat(Name(attribute.name), "=", AttributeText(attribute, indent)));
    if (!attributes.empty()) out += StrCat("<", Join(attributes), ">");
    return out + StrCat("(", Names(node.inputs), ")");
  }

 private:
  static std::string OpsetLine(const std::vector<std::pair<std::string, int64_t>>& imports) {
    std::vector<std::string> items;
    for (const auto& [domain, version] : imports)
      items.push_back(domain.empty() ? StrCat(version) : StrCat(Name(domain), " ", version));
    return "opset " + Join(items);
  }

  // The domain ends at the last dot, so that an op type that contains a dot is quoted separately.
  static std::string OpText(const std::string& domain, const std::string& op_type) {
    const bool plain = IsWord(op_type) && op_type.find('.') == std::string::npos;
    if (domain.empty()) return plain ? op_type : Quoted(op_type);
    return plain && IsWord(domain) ? StrCat(domain, ".", op_type)
                                   : StrCat(Quoted(domain), " ", Quoted(op_type));
  }

  static std::string DimsOf(const Tensor& tensor) {
    return StrCat("[", Join(tensor.shape(), ","), "]");
  }

  std::string TensorBody(const Tensor& tensor) const {
    return tensor.size() > max_elements_ ? HashOf(tensor) : Elements(tensor);
  }
  std::string TensorText(const Tensor& tensor) const {
    return Shaped(tensor.dtype(), DimsOf(tensor)) + TensorBody(tensor);
  }

  template <typename T, typename Text>
  static std::string List(const char* kind, const std::vector<T>& values, const Text& text) {
    std::vector<std::string> items;
    for (const T& value : values) items.push_back(text(value));
    return StrCat(items.empty() ? kind : "", "[", Join(items, ","), "]");
  }

  std::string AttributeText(const Attribute& attribute, const std::string& indent) const {
    const Attribute::Value& value = attribute.value;
    const auto graph_text = [&](const GraphPtr& graph) { return GraphText(*graph, indent); };
    if (!attribute.ref_name.empty()) return "@" + Name(attribute.ref_name);
    if (const auto* v = std::get_if<float>(&value)) return FloatLiteral(*v);
    if (const auto* v = std::get_if<int64_t>(&value)) return StrCat(*v);
    if (const auto* v = std::get_if<std::string>(&value)) return Quoted(*v);
    if (const auto* v = std::get_if<Tensor>(&value)) return TensorText(*v);
    if (const auto* v = std::get_if<GraphPtr>(&value)) return graph_text(*v);
    if (const auto* v = std::get_if<std::vector<float>>(&value))
      return List("floats", *v, FloatLiteral);
    if (const auto* v = std::get_if<std::vector<int64_t>>(&value))
      return List("ints", *v, [](int64_t i) { return StrCat(i); });
    if (const auto* v = std::get_if<std::vector<std::string>>(&value))
      return List("strings", *v, Quoted);
    if (const auto* v = std::get_if<std::vector<Tensor>>(&value))
      return List("tensors", *v, [&](const Tensor& tensor) { return TensorText(tensor); });
    if (const auto* v = std::get_if<std::vector<GraphPtr>>(&value))
      return List("graphs", *v, graph_text);
    return StrCat("other(\"", Hex(attribute.unknown), "\")");
  }

  std::string FunctionText(const Function& function) const {
    std::string out = StrCat("function ", OpText(function.domain, function.name));
    std::vector<std::string> attributes;
    for (const std::string& name : function.attributes) attributes.push_back(Name(name));
    for (const Attribute& attribute : function.defaults)
      attributes.push_back(StrCat(Name(attribute.name), "=", AttributeText(attribute, "")));
    if (!attributes.empty()) out += StrCat("<", Join(attributes), ">");
    out += StrCat("(", Names(function.inputs), ") => (", Names(function.outputs), ") {\n");
    if (!function.opset_imports.empty())
      out += StrCat("  ", OpsetLine(function.opset_imports), "\n");
    for (const NodePtr& node : function.nodes) out += StrCat("  ", NodeText(*node, "  "), "\n");
    return out + "}\n";
  }

  int64_t max_elements_;
};

}  // namespace

std::string Print(const Model& model, int64_t max_elements) {
  return Printer(max_elements).ModelText(model);
}
std::string Print(const Graph& graph, int64_t max_elements) {
  return Printer(max_elements).GraphText(graph, "");
}
std::string Print(const Node& node, int64_t max_elements) {
  return Printer(max_elements).NodeText(node, "");
}

}  // namespace roundel::graph
