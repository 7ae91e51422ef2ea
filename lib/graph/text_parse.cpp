// Recursive descent. Every function leaves the cursor after what it read.

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "lib/graph/text_cursor.h"
#include "lib/graph/text_lexer.h"
#include "lib/graph/text_lists.h"
#include "lib/graph/text_tensor.h"
#include "lib/graph/text_values.h"

namespace roundel::graph {
namespace {

// Maximum depth of sub-graphs: more than models have, and safe for the stack.
constexpr int kMaxDepth = 64;

Result<GraphPtr> ParseGraph(TextCursor& in, int depth);

// ---- nodes

Status ParseScalarAttribute(TextCursor& in, Attribute::Value* value, int depth) {
  if (in.Peek().kind == TokenKind::kString) {
    *value = in.Take().text;
  } else if (in.IsWord("graph")) {
    ASSIGN_OR_RETURN(*value, ParseGraph(in, depth + 1));
  } else if (IsTypeName(in.Peek())) {
    ASSIGN_OR_RETURN(*value, ParseTensor(in));
  } else if (const auto integer = ParseInteger(in.Peek().text)) {
    *value = *integer;
    in.Take();
  } else {
    const auto number = ParseFloat(in.Peek().text);
    if (in.Peek().kind != TokenKind::kWord || !number) return in.Unexpected("an attribute's value");
    *value = *number;
    in.Take();
  }
  return OkStatus();
}

Status ParseAttribute(TextCursor& in, Attribute* attribute, int depth) {
  if (in.TakeIf("@")) {
    ASSIGN_OR_RETURN(attribute->ref_name, in.TakeName("a function's attribute"));
    return OkStatus();
  }
  if (in.IsWord("other")) {
    in.Take();
    ASSIGN_OR_RETURN(attribute->unknown, in.TakeHexInParentheses());
    return OkStatus();
  }
  static const std::pair<const char*, Attribute::Value> kEmptyLists[] = {
      {"ints", std::vector<int64_t>()},        {"floats", std::vector<float>()},
      {"strings", std::vector<std::string>()}, {"tensors", std::vector<Tensor>()},
      {"graphs", std::vector<GraphPtr>()},
  };
  for (const auto& [word, empty] : kEmptyLists) {
    if (!in.IsWord(word)) continue;
    in.Take();
    attribute->value = empty;
    RETURN_IF_ERROR(in.Expect("["));
    return in.Expect("]");
  }
  if (!in.TakeIf("[")) return ParseScalarAttribute(in, &attribute->value, depth);
  std::vector<Attribute::Value> items;
  RETURN_IF_ERROR(
      in.ParseList("]", [&] { return ParseScalarAttribute(in, &items.emplace_back(), depth); }));
  if (items.empty())
    return in.Here(ModelError("an empty list needs its kind: ints[], floats[], strings[], ..."));
  if (!MakeAttributeList(items, &attribute->value))
    return in.Here(ModelError("the elements of a list must be of one kind"));
  return OkStatus();
}

Status ParseOpName(TextCursor& in, std::string* domain, std::string* op_type) {
  const bool quoted = in.Peek().kind == TokenKind::kString;
  ASSIGN_OR_RETURN(*op_type, in.TakeName("an operator"));
  if (quoted && in.Peek().kind == TokenKind::kString) {
    *domain = std::move(*op_type);
    *op_type = in.Take().text;
  } else if (const size_t dot = op_type->rfind('.'); !quoted && dot != std::string::npos) {
    *domain = op_type->substr(0, dot);
    op_type->erase(0, dot + 1);
  }
  return OkStatus();
}

// "[name] y, z = domain.Op<attribute=1>(a, b)"; "() = ..." has no outputs.
Result<Node> ParseNode(TextCursor& in, int depth) {
  Node node;
  if (in.TakeIf("[")) {
    ASSIGN_OR_RETURN(node.name, in.TakeName("the node's name"));
    RETURN_IF_ERROR(in.Expect("]"));
  }
  if (in.TakeIf("(")) {
    RETURN_IF_ERROR(in.Expect(")"));
    RETURN_IF_ERROR(in.Expect("="));
  } else {
    RETURN_IF_ERROR(in.ParseNames("=", &node.outputs));
  }
  RETURN_IF_ERROR(ParseOpName(in, &node.domain, &node.op_type));
  if (in.TakeIf("<")) {
    RETURN_IF_ERROR(in.ParseList(">", [&]() -> Status {
      Attribute attribute;
      ASSIGN_OR_RETURN(attribute.name, in.TakeName("an attribute's name"));
      RETURN_IF_ERROR(in.Expect("="));
      RETURN_IF_ERROR(ParseAttribute(in, &attribute, depth));
      node.attributes.push_back(std::move(attribute));
      return OkStatus();
    }));
  }
  RETURN_IF_ERROR(in.Expect("("));
  RETURN_IF_ERROR(in.ParseNames(")", &node.inputs));
  return node;
}

// ---- graphs

Status ParseStatement(TextCursor& in, Graph* graph, int depth) {
  const bool typed = in.Is("?") || IsTypeName(in.Peek()) || (in.IsWord("other") && in.Is("(", 1));
  if (!typed || in.Is("=", 1) || in.Is(",", 1)) {
    ASSIGN_OR_RETURN(Node node, ParseNode(in, depth));
    graph->AddNode(std::move(node));
    return OkStatus();
  }
  ASSIGN_OR_RETURN(ValueInfo info, ParseTyped(in));
  if (!in.TakeIf("=")) {
    graph->value_info.push_back(std::move(info));
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const Shape shape, StaticShape(in, info));
  ASSIGN_OR_RETURN(Tensor value, ParseTensorBody(in, info.dtype, shape));
  if (graph->FindInitializer(info.name))
    return in.Here(ModelError(StrCat("initializer '", info.name, "' is defined twice")));
  graph->AddInitializer({.name = info.name, .value = std::move(value)});
  return OkStatus();
}

Result<GraphPtr> ParseGraph(TextCursor& in, int depth) {
  if (depth > kMaxDepth) return in.Here(ModelError("sub-graphs are nested too deeply"));
  auto graph = std::make_shared<Graph>();
  in.Take();  // "graph"
  ASSIGN_OR_RETURN(graph->name, in.TakeName("the graph's name"));
  RETURN_IF_ERROR(ParseSignature(in, &graph->inputs));
  RETURN_IF_ERROR(in.Expect("=>"));
  RETURN_IF_ERROR(ParseSignature(in, &graph->outputs));
  RETURN_IF_ERROR(in.Expect("{"));
  while (!in.TakeIf("}")) RETURN_IF_ERROR(ParseStatement(in, graph.get(), depth));
  return graph;
}

// ---- models

Status ParseOpsets(TextCursor& in, std::vector<std::pair<std::string, int64_t>>* imports) {
  in.Take();  // "opset"
  do {
    std::string domain;
    if (!ParseInteger(in.Peek().text)) {
      ASSIGN_OR_RETURN(domain, in.TakeName("an opset domain or version"));
    }
    ASSIGN_OR_RETURN(const int64_t version, in.TakeInteger("an opset version"));
    imports->emplace_back(domain, version);
  } while (in.TakeIf(","));
  return OkStatus();
}

Status ParseHeaderLine(TextCursor& in, Model* model) {
  if (in.IsWord("opset")) return ParseOpsets(in, &model->opset_imports);
  if (in.IsWord("ir_version") || in.IsWord("model_version")) {
    int64_t& to = in.IsWord("ir_version") ? model->ir_version : model->model_version;
    in.Take();
    ASSIGN_OR_RETURN(to, in.TakeInteger("a version"));
  } else if (in.IsWord("producer")) {
    in.Take();
    ASSIGN_OR_RETURN(model->producer_name, in.TakeString("the producer's name in quotes"));
    ASSIGN_OR_RETURN(model->producer_version, in.TakeString("the producer's version in quotes"));
  } else if (in.IsWord("domain")) {
    in.Take();
    ASSIGN_OR_RETURN(model->domain, in.TakeString("a domain in quotes"));
  } else if (in.IsWord("metadata")) {
    in.Take();
    ASSIGN_OR_RETURN(std::string key, in.TakeString("a key in quotes"));
    RETURN_IF_ERROR(in.Expect("="));
    ASSIGN_OR_RETURN(std::string value, in.TakeString("a value in quotes"));
    model->metadata.emplace_back(std::move(key), std::move(value));
  } else {
    return in.Unexpected(
        "opset, ir_version, producer, model_version, domain, metadata, function "
        "or graph");
  }
  return OkStatus();
}

Result<Function> ParseFunction(TextCursor& in) {
  Function function;
  in.Take();  // "function"
  RETURN_IF_ERROR(ParseOpName(in, &function.domain, &function.name));
  if (in.TakeIf("<"))
    RETURN_IF_ERROR(in.ParseList(">", [&]() -> Status {
      Attribute attribute;
      ASSIGN_OR_RETURN(attribute.name, in.TakeName("an attribute's name"));
      if (!in.TakeIf("=")) {
        function.attributes.push_back(std::move(attribute.name));
        return OkStatus();
      }
      RETURN_IF_ERROR(ParseAttribute(in, &attribute, 0));
      function.defaults.push_back(std::move(attribute));
      return OkStatus();
    }));
  RETURN_IF_ERROR(in.Expect("("));
  RETURN_IF_ERROR(in.ParseNames(")", &function.inputs));
  RETURN_IF_ERROR(in.Expect("=>"));
  RETURN_IF_ERROR(in.Expect("("));
  RETURN_IF_ERROR(in.ParseNames(")", &function.outputs));
  RETURN_IF_ERROR(in.Expect("{"));
  if (in.IsWord("opset") && !in.Is("=", 1) && !in.Is(",", 1))
    RETURN_IF_ERROR(ParseOpsets(in, &function.opset_imports));
  while (!in.TakeIf("}")) {
    ASSIGN_OR_RETURN(Node node, ParseNode(in, 0));
    function.nodes.push_back(std::make_unique<Node>(std::move(node)));
  }
  return function;
}

}  // namespace

Result<Model> Parse(const std::string& text) {
  ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(text));
  TextCursor in(std::move(tokens));
  Model model;
  while (!in.IsWord("graph")) {
    if (in.IsWord("function")) {
      ASSIGN_OR_RETURN(Function function, ParseFunction(in));
      model.functions.push_back(std::move(function));
    } else {
      RETURN_IF_ERROR(ParseHeaderLine(in, &model));
    }
  }
  ASSIGN_OR_RETURN(model.graph, ParseGraph(in, 0));
  if (in.Peek().kind != TokenKind::kEnd) return in.Unexpected("nothing after the graph");
  return model;
}

}  // namespace roundel::graph
