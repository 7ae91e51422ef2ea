#include <limits>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/graph/text_lexer.h"
#include "lib/graph/text_tensor.h"

namespace roundel::graph {
namespace {

// Maximum depth of sub-graphs: more than models have, and safe for the stack.
constexpr int kMaxDepth = 64;

bool IsTypeName(const Token& token) {
  return token.kind == TokenKind::kWord && ParseDType(token.text) != DType::kUndefined;
}

// Recursive descent; every method leaves the position behind what it read.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Model> ParseModel() {
    Model model;
    while (!IsWord("graph")) {
      if (IsWord("function")) {
        ASSIGN_OR_RETURN(Function function, ParseFunction());
        model.functions.push_back(std::move(function));
      } else {
        RETURN_IF_ERROR(ParseHeaderLine(&model));
      }
    }
    ASSIGN_OR_RETURN(model.graph, ParseGraph(0));
    if (Peek().kind != TokenKind::kEnd) return Unexpected("nothing after the graph");
    return model;
  }

 private:
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool Is(const char* punctuation, size_t ahead = 0) const {
    return Peek(ahead).kind == TokenKind::kPunctuation && Peek(ahead).text == punctuation;
  }
  bool IsWord(const char* word, size_t ahead = 0) const {
    return Peek(ahead).kind == TokenKind::kWord && Peek(ahead).text == word;
  }
  bool TakeIf(const char* punctuation) {
    if (!Is(punctuation)) return false;
    ++at_;
    return true;
  }
  Status Here(Status status) const { return std::move(status).At(StrCat("line ", Peek().line)); }
  Status Unexpected(const std::string& expected) const {
    return Here(ModelError(StrCat("expected ", expected, ", found '", Peek().text, "'")));
  }
  Status Expect(const char* punctuation) {
    return TakeIf(punctuation) ? OkStatus() : Unexpected(StrCat("'", punctuation, "'"));
  }
  Result<std::string> TakeName(const char* what) {
    if (Peek().kind != TokenKind::kWord && Peek().kind != TokenKind::kString)
      return Unexpected(what);
    return Take().text;
  }
  Result<std::string> TakeString(const char* what) {
    if (Peek().kind != TokenKind::kString) return Unexpected(what);
    return Take().text;
  }
  Result<int64_t> TakeInteger(const char* what) {
    const auto value = ParseInteger(Peek().text);
    if (Peek().kind != TokenKind::kWord || !value) return Unexpected(what);
    Take();
    return *value;
  }
  Result<double> TakeDouble() {
    const auto value = ParseDouble(Peek().text);
    if (Peek().kind != TokenKind::kWord || !value) return Unexpected("a number");
    Take();
    return *value;
  }
  Result<std::string> TakeHexInParentheses() {
    RETURN_IF_ERROR(Expect("("));
    ASSIGN_OR_RETURN(const std::string digits, TakeString("hexadecimal digits in quotes"));
    const auto bytes = ParseHex(digits);
    if (!bytes) return Here(ModelError("the digits are not hexadecimal pairs"));
    RETURN_IF_ERROR(Expect(")"));
    return *bytes;
  }

  // Items separated by commas up to `close`, which is taken; `open` has been taken.
  template <typename Item>
  Status ParseList(const char* close, const Item& item) {
    if (TakeIf(close)) return OkStatus();
    do {
      RETURN_IF_ERROR(item());
    } while (TakeIf(","));
    return Expect(close);
  }
  Status ParseNames(const char* close, std::vector<std::string>* names) {
    return ParseList(close, [&]() -> Status {
      ASSIGN_OR_RETURN(std::string name, TakeName("a name"));
      names->push_back(std::move(name));
      return OkStatus();
    });
  }

  Status ParseOpsets(std::vector<std::pair<std::string, int64_t>>* imports) {
    Take();  // "opset"
    do {
      std::string domain;
      if (!ParseInteger(Peek().text)) {
        ASSIGN_OR_RETURN(domain, TakeName("an opset domain or version"));
      }
      ASSIGN_OR_RETURN(const int64_t version, TakeInteger("an opset version"));
      imports->emplace_back(domain, version);
    } while (TakeIf(","));
    return OkStatus();
  }

  Status ParseHeaderLine(Model* model) {
    if (IsWord("opset")) return ParseOpsets(&model->opset_imports);
    if (IsWord("ir_version") || IsWord("model_version")) {
      int64_t& to = IsWord("ir_version") ? model->ir_version : model->model_version;
      Take();
      ASSIGN_OR_RETURN(to, TakeInteger("a version"));
    } else if (IsWord("producer")) {
      Take();
      ASSIGN_OR_RETURN(model->producer_name, TakeString("the producer's name in quotes"));
      ASSIGN_OR_RETURN(model->producer_version, TakeString("the producer's version in quotes"));
    } else if (IsWord("domain")) {
      Take();
      ASSIGN_OR_RETURN(model->domain, TakeString("a domain in quotes"));
    } else if (IsWord("metadata")) {
      Take();
      ASSIGN_OR_RETURN(std::string key, TakeString("a key in quotes"));
      RETURN_IF_ERROR(Expect("="));
      ASSIGN_OR_RETURN(std::string value, TakeString("a value in quotes"));
      model->metadata.emplace_back(std::move(key), std::move(value));
    } else {
      return Unexpected(
          "opset, ir_version, producer, model_version, domain, metadata, function "
          "or graph");
    }
    return OkStatus();
  }

  Result<Function> ParseFunction() {
    Function function;
    Take();  // "function"
    RETURN_IF_ERROR(ParseOpName(&function.domain, &function.name));
    if (TakeIf("<"))
      RETURN_IF_ERROR(ParseList(">", [&]() -> Status {
        Attribute attribute;
        ASSIGN_OR_RETURN(attribute.name, TakeName("an attribute's name"));
        if (!TakeIf("=")) {
          function.attributes.push_back(std::move(attribute.name));
          return OkStatus();
        }
        RETURN_IF_ERROR(ParseAttribute(&attribute, 0));
        function.defaults.push_back(std::move(attribute));
        return OkStatus();
      }));
    RETURN_IF_ERROR(Expect("("));
    RETURN_IF_ERROR(ParseNames(")", &function.inputs));
    RETURN_IF_ERROR(Expect("=>"));
    RETURN_IF_ERROR(Expect("("));
    RETURN_IF_ERROR(ParseNames(")", &function.outputs));
    RETURN_IF_ERROR(Expect("{"));
    if (IsWord("opset") && !Is("=", 1) && !Is(",", 1))
      RETURN_IF_ERROR(ParseOpsets(&function.opset_imports));
    while (!TakeIf("}")) {
      ASSIGN_OR_RETURN(Node node, ParseNode(0));
      function.nodes.push_back(std::make_unique<Node>(std::move(node)));
    }
    return function;
  }

  Result<GraphPtr> ParseGraph(int depth) {
    if (depth > kMaxDepth) return Here(ModelError("sub-graphs are nested too deeply"));
    auto graph = std::make_shared<Graph>();
    Take();  // "graph"
    ASSIGN_OR_RETURN(graph->name, TakeName("the graph's name"));
    RETURN_IF_ERROR(ParseSignature(&graph->inputs));
    RETURN_IF_ERROR(Expect("=>"));
    RETURN_IF_ERROR(ParseSignature(&graph->outputs));
    RETURN_IF_ERROR(Expect("{"));
    while (!TakeIf("}")) RETURN_IF_ERROR(ParseStatement(graph.get(), depth));
    return graph;
  }

  Status ParseSignature(std::vector<ValueInfo>* values) {
    RETURN_IF_ERROR(Expect("("));
    return ParseList(")", [&]() -> Status {
      ASSIGN_OR_RETURN(ValueInfo info, ParseTyped());
      values->push_back(std::move(info));
      return OkStatus();
    });
  }

  // "float32[N,3] name", "? name", "other("hex") name"
  Result<ValueInfo> ParseTyped() {
    ValueInfo info;
    if (IsWord("other")) {
      Take();
      ASSIGN_OR_RETURN(info.type_bytes, TakeHexInParentheses());
    } else if (IsTypeName(Peek())) {
      info.dtype = ParseDType(Take().text);
    } else if (!TakeIf("?")) {
      return Unexpected("a type");
    }
    if (TakeIf("[")) {
      info.shape.emplace();
      RETURN_IF_ERROR(ParseList("]", [&] { return ParseDim(&*info.shape); }));
    }
    ASSIGN_OR_RETURN(info.name, TakeName("a value's name"));
    return info;
  }

  Status ParseDim(std::vector<Dim>* dims) {
    Dim dim;
    if (!TakeIf("?")) {
      const bool quoted = Peek().kind == TokenKind::kString;
      const auto value = ParseInteger(Peek().text);
      ASSIGN_OR_RETURN(std::string text, TakeName("a dimension"));
      if (value && !quoted)
        dim.value = value;
      else
        dim.symbol = std::move(text);
    }
    dims->push_back(std::move(dim));
    return OkStatus();
  }

  Status ParseStatement(Graph* graph, int depth) {
    const bool typed = Is("?") || IsTypeName(Peek()) || (IsWord("other") && Is("(", 1));
    if (!typed || Is("=", 1) || Is(",", 1)) {
      ASSIGN_OR_RETURN(Node node, ParseNode(depth));
      graph->AddNode(std::move(node));
      return OkStatus();
    }
    ASSIGN_OR_RETURN(ValueInfo info, ParseTyped());
    if (!TakeIf("=")) {
      graph->value_info.push_back(std::move(info));
      return OkStatus();
    }
    ASSIGN_OR_RETURN(const Shape shape, StaticShape(info));
    ASSIGN_OR_RETURN(Tensor value, ParseTensorBody(info.dtype, shape));
    if (graph->FindInitializer(info.name))
      return Here(ModelError(StrCat("initializer '", info.name, "' is defined twice")));
    graph->AddInitializer({.name = info.name, .value = std::move(value)});
    return OkStatus();
  }

  Result<Shape> StaticShape(const ValueInfo& info) const {
    Shape shape;
    if (info.dtype == DType::kUndefined || !info.shape)
      return Here(ModelError("a tensor needs a type and a shape, as in float32[2,3]"));
    for (const Dim& dim : *info.shape) {
      if (!dim.value) return Here(ModelError("the dimensions of a tensor must be numbers"));
      shape.push_back(*dim.value);
    }
    return shape;
  }

  Result<Tensor> Placed(Result<Tensor> tensor) const {
    if (tensor.ok()) return tensor;
    return Here(std::move(tensor).status());
  }

  Result<Tensor> ParseTensorBody(DType type, const Shape& shape) {
    if (TakeIf("{")) {
      std::vector<std::string> literals;
      RETURN_IF_ERROR(ParseNames("}", &literals));
      return Placed(TensorFromLiterals(type, shape, literals));
    }
    const std::string word = Peek().kind == TokenKind::kWord ? Peek().text : "";
    if (word == "hash")
      return Here(
          ModelError("a tensor printed as hash(...) has lost its elements; print with a "
                     "larger max_elements"));
    if (word != "zeros" && word != "ones" && word != "fill" && word != "random" && word != "raw")
      return Unexpected("{...}, zeros, ones, fill(x), random(seed) or raw(\"..\")");
    Take();
    if (word == "zeros") return Placed(FilledTensor(type, shape, "0"));
    if (word == "ones") return Placed(FilledTensor(type, shape, "1"));
    if (word == "raw") {
      ASSIGN_OR_RETURN(const std::string bytes, TakeHexInParentheses());
      return Placed(TensorFromBytes(type, shape, bytes));
    }
    RETURN_IF_ERROR(Expect("("));
    if (word == "fill") {
      ASSIGN_OR_RETURN(const std::string value, TakeName("a value"));
      RETURN_IF_ERROR(Expect(")"));
      return Placed(FilledTensor(type, shape, value));
    }
    ASSIGN_OR_RETURN(const int64_t seed, TakeInteger("a seed"));
    double low = -1, high = 1;
    if (TakeIf(",")) {
      ASSIGN_OR_RETURN(low, TakeDouble());
      RETURN_IF_ERROR(Expect(","));
      ASSIGN_OR_RETURN(high, TakeDouble());
    }
    RETURN_IF_ERROR(Expect(")"));
    return Placed(RandomTensor(type, shape, static_cast<uint64_t>(seed), low, high));
  }

  // "float32[2]{1, 2}"
  Result<Tensor> ParseTensor() {
    ValueInfo info{.dtype = ParseDType(Take().text)};
    RETURN_IF_ERROR(Expect("["));
    info.shape.emplace();
    RETURN_IF_ERROR(ParseList("]", [&] { return ParseDim(&*info.shape); }));
    ASSIGN_OR_RETURN(const Shape shape, StaticShape(info));
    return ParseTensorBody(info.dtype, shape);
  }

  Status ParseOpName(std::string* domain, std::string* op_type) {
    const bool quoted = Peek().kind == TokenKind::kString;
    ASSIGN_OR_RETURN(*op_type, TakeName("an operator"));
    if (quoted && Peek().kind == TokenKind::kString) {
      *domain = std::move(*op_type);
      *op_type = Take().text;
    } else if (const size_t dot = op_type->rfind('.'); !quoted && dot != std::string::npos) {
      *domain = op_type->substr(0, dot);
      op_type->erase(0, dot + 1);
    }
    return OkStatus();
  }

  // "[name] y, z = domain.Op<attribute=1>(a, b)"; "() = ..." has no outputs.
  Result<Node> ParseNode(int depth) {
    Node node;
    if (TakeIf("[")) {
      ASSIGN_OR_RETURN(node.name, TakeName("the node's name"));
      RETURN_IF_ERROR(Expect("]"));
    }
    if (TakeIf("(")) {
      RETURN_IF_ERROR(Expect(")"));
      RETURN_IF_ERROR(Expect("="));
    } else {
      RETURN_IF_ERROR(ParseNames("=", &node.outputs));
    }
    RETURN_IF_ERROR(ParseOpName(&node.domain, &node.op_type));
    if (TakeIf("<")) {
      RETURN_IF_ERROR(ParseList(">", [&]() -> Status {
        Attribute attribute;
        ASSIGN_OR_RETURN(attribute.name, TakeName("an attribute's name"));
        RETURN_IF_ERROR(Expect("="));
        RETURN_IF_ERROR(ParseAttribute(&attribute, depth));
        node.attributes.push_back(std::move(attribute));
        return OkStatus();
      }));
    }
    RETURN_IF_ERROR(Expect("("));
    RETURN_IF_ERROR(ParseNames(")", &node.inputs));
    return node;
  }

  Status ParseAttribute(Attribute* attribute, int depth) {
    if (TakeIf("@")) {
      ASSIGN_OR_RETURN(attribute->ref_name, TakeName("a function's attribute"));
      return OkStatus();
    }
    if (IsWord("other")) {
      Take();
      ASSIGN_OR_RETURN(attribute->unknown, TakeHexInParentheses());
      return OkStatus();
    }
    static const std::pair<const char*, Attribute::Value> kEmptyLists[] = {
        {"ints", std::vector<int64_t>()},        {"floats", std::vector<float>()},
        {"strings", std::vector<std::string>()}, {"tensors", std::vector<Tensor>()},
        {"graphs", std::vector<GraphPtr>()},
    };
    for (const auto& [word, empty] : kEmptyLists) {
      if (!IsWord(word)) continue;
      Take();
      attribute->value = empty;
      RETURN_IF_ERROR(Expect("["));
      return Expect("]");
    }
    if (!TakeIf("[")) return ParseScalarAttribute(&attribute->value, depth);
    std::vector<Attribute::Value> items;
    RETURN_IF_ERROR(
        ParseList("]", [&] { return ParseScalarAttribute(&items.emplace_back(), depth); }));
    return MakeList(items, &attribute->value);
  }

  Status ParseScalarAttribute(Attribute::Value* value, int depth) {
    if (Peek().kind == TokenKind::kString) {
      *value = Take().text;
    } else if (IsWord("graph")) {
      ASSIGN_OR_RETURN(*value, ParseGraph(depth + 1));
    } else if (IsTypeName(Peek())) {
      ASSIGN_OR_RETURN(*value, ParseTensor());
    } else if (const auto integer = ParseInteger(Peek().text)) {
      *value = *integer;
      Take();
    } else {
      const auto number = ParseFloat(Peek().text);
      if (Peek().kind != TokenKind::kWord || !number) return Unexpected("an attribute's value");
      *value = *number;
      Take();
    }
    return OkStatus();
  }

  // One list of the items' common kind; integers among floats become floats.
  Status MakeList(const std::vector<Attribute::Value>& items, Attribute::Value* value) const {
    if (items.empty())
      return Here(ModelError("an empty list needs its kind: ints[], floats[], strings[], ..."));
    bool any_float = false;
    for (const Attribute::Value& item : items)
      any_float = any_float || std::holds_alternative<float>(item);
    const bool ok = any_float
                        ? CollectFloats(items, value)
                        : Collect<int64_t>(items, value) || Collect<std::string>(items, value) ||
                              Collect<Tensor>(items, value) || Collect<GraphPtr>(items, value);
    return ok ? OkStatus() : Here(ModelError("the elements of a list must be of one kind"));
  }
  template <typename T>
  static bool Collect(const std::vector<Attribute::Value>& items, Attribute::Value* value) {
    std::vector<T> list;
    for (const Attribute::Value& item : items) {
      const T* element = std::get_if<T>(&item);
      if (!element) return false;
      list.push_back(*element);
    }
    *value = std::move(list);
    return true;
  }
  static bool CollectFloats(const std::vector<Attribute::Value>& items, Attribute::Value* value) {
    std::vector<float> list;
    for (const Attribute::Value& item : items) {
      if (const auto* number = std::get_if<float>(&item))
        list.push_back(*number);
      else if (const auto* integer = std::get_if<int64_t>(&item))
        list.push_back(static_cast<float>(*integer));
      else
        return false;
    }
    *value = std::move(list);
    return true;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace

Result<Model> Parse(const std::string& text) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  return Parser(std::move(tokens)).ParseModel();
}

}  // namespace roundel::graph
