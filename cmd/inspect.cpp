#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "cmd/command.h"
#include "cmd/inspect_blocks.h"
#include "cmd/loading.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/report/report.h"
#include "passes/runner.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Findings {
  std::vector<std::pair<std::string, int64_t>> ops;  // most frequent first
  int64_t parameters = 0, parameter_bytes = 0;
  // The results of passes that need no data, run on a copy.
  struct PassResult {
    std::string pass;
    std::map<std::string, int64_t> actions;
  };
  std::vector<PassResult> passes;
  std::vector<std::string> unsupported;
};

std::string TypeText(const graph::ValueInfo& info) {
  if (info.dtype == DType::kUndefined) return "?";
  std::string text = DTypeName(info.dtype);
  if (!info.shape) return text;
  std::vector<std::string> dims;
  for (const graph::Dim& dim : *info.shape)
    dims.push_back(dim.value ? StrCat(*dim.value) : dim.symbol.empty() ? "?" : dim.symbol);
  return StrCat(text, "[", Join(dims), "]");
}

// A node's op type, with its domain if that is not ONNX's own.
std::string OpName(const graph::Node& node) {
  return node.domain.empty() ? node.op_type : StrCat(node.domain, ".", node.op_type);
}

std::vector<std::pair<std::string, int64_t>> CountOps(const graph::Graph& graph) {
  std::map<std::string, int64_t> counts;
  for (const graph::NodePtr& node : graph.nodes()) ++counts[OpName(*node)];
  std::vector<std::pair<std::string, int64_t>> ops(counts.begin(), counts.end());
  std::stable_sort(ops.begin(), ops.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return ops;
}

void CountTensor(const Tensor& tensor, Findings* findings) {
  if (tensor.dtype() == DType::kString) return;
  findings->parameters += tensor.size();
  findings->parameter_bytes += tensor.byte_size();
}

// Initializers and Constant nodes, sub-graphs included.
void CountParameters(const graph::Graph& graph, Findings* findings) {
  for (const graph::Initializer& initializer : graph.initializers())
    CountTensor(initializer.value, findings);
  for (const graph::NodePtr& node : graph.nodes()) {
    if (const Tensor* value = node->Is("Constant") ? node->TensorAttribute("value") : nullptr)
      CountTensor(*value, findings);
    graph::ForEachSubgraph(*node, [&](graph::Graph& inner) { CountParameters(inner, findings); });
  }
}

// Each pass runs on the result of those before it: equalization needs folded normalizations.
std::vector<Findings::PassResult> TryPasses(const graph::Model& model) {
  Session session;
  session.dry = true;
  session.model = graph::Clone(model);
  std::vector<Findings::PassResult> results;
  if (const auto normal = engine::MakeNormalForm(&session.model); !normal.ok()) {
    LogDebug(StrCat("inspect: ", normal.status().message()));
    return results;
  }
  for (const passes::PassInfo& info : passes::AllPasses()) {
    if (info.needs_data || info.needs_grids) continue;
    report::Report report;
    recipe::Step step{.pass = info.name, .params = recipe::Params(info.params)};
    // One iteration shows whether the pass applies; convergence is not needed.
    for (const recipe::ParamSpec& param : info.params)
      if (param.name == "max_iterations")
        INVARIANT(step.params.SetFromText(info.params, param.name, "1").ok(), "1 is a count");
    const Status status = passes::RunSteps({step}, {.verify_samples = 0}, &session, &report);
    if (!status.ok()) {
      LogDebug(StrCat("inspect: ", status.message()));
      continue;
    }
    Findings::PassResult result{.pass = info.name};
    for (const report::Record& record : report.passes.back().records)
      ++result.actions[record.action];
    results.push_back(std::move(result));
  }
  return results;
}

Findings Inspect(const graph::Model& model) {
  Findings findings;
  findings.ops = CountOps(*model.graph);
  CountParameters(*model.graph, &findings);
  findings.unsupported = engine::UnsupportedNodes(model);
  findings.passes = TryPasses(model);
  return findings;
}

Json ToJson(const LoadedModel& loaded, const Findings& findings) {
  const graph::Model& model = loaded.model;
  const auto values = [](const std::vector<graph::ValueInfo>& infos) {
    Json array = Json::array();
    for (const graph::ValueInfo& info : infos)
      array.push_back({{"name", info.name}, {"type", TypeText(info)}});
    return array;
  };
  Json opsets = Json::object(), ops = Json::object(), passes = Json::object();
  for (const auto& [domain, version] : model.opset_imports)
    opsets[domain.empty() ? "ai.onnx" : domain] = version;
  for (const auto& [op, count] : findings.ops) ops[op] = count;
  for (const Findings::PassResult& result : findings.passes) passes[result.pass] = result.actions;
  return {{"model", loaded.path},
          {"hash", loaded.hash},
          {"bytes", loaded.bytes},
          {"ir_version", model.ir_version},
          {"opsets", std::move(opsets)},
          {"producer", model.producer_name},
          {"inputs", values(model.graph->inputs)},
          {"outputs", values(model.graph->outputs)},
          {"nodes", loaded.nodes},
          {"parameters", findings.parameters},
          {"parameter_bytes", findings.parameter_bytes},
          {"ops", std::move(ops)},
          {"passes", std::move(passes)},
          {"unsupported", findings.unsupported}};
}

void Print(const LoadedModel& loaded, const Findings& findings, std::ostream& out) {
  const graph::Model& model = loaded.model;
  std::vector<std::string> opsets;
  for (const auto& [domain, version] : model.opset_imports)
    opsets.push_back(StrCat(domain.empty() ? "ai.onnx" : Printable(domain), " ", version));
  out << "file        " << loaded.path << " (" << HumanBytes(loaded.bytes) << ")\n";
  out << "opset       " << Join(opsets) << "; IR version " << model.ir_version << "\n";
  for (const graph::ValueInfo& info : model.graph->inputs)
    out << "input       " << Printable(info.name) << " " << Printable(TypeText(info)) << "\n";
  for (const graph::ValueInfo& info : model.graph->outputs)
    out << "output      " << Printable(info.name) << " " << Printable(TypeText(info)) << "\n";
  out << "parameters  " << findings.parameters << " (" << HumanBytes(findings.parameter_bytes)
      << ")\n";
  out << "nodes       " << loaded.nodes << "\n\n";
  std::vector<std::vector<std::string>> rows = {{"op", "count"}};
  for (const auto& [op, count] : findings.ops) rows.push_back({Printable(op), StrCat(count)});
  out << report::TextTable(rows) << "\n";
  for (const Findings::PassResult& result : findings.passes) {
    std::vector<std::string> parts;
    for (const auto& [action, count] : result.actions) parts.push_back(StrCat(count, " ", action));
    out << "pass " << result.pass << ": " << (parts.empty() ? "nothing to do" : Join(parts))
        << "\n";
  }
  if (findings.unsupported.empty()) {
    out << "engine: can run every node\n";
    return;
  }
  const size_t count = findings.unsupported.size();
  out << "engine: cannot run " << count << (count == 1 ? " node\n" : " nodes\n");
  for (const std::string& line : findings.unsupported) out << "  " << Printable(line, 300) << "\n";
}

}  // namespace

CommandRun SetupInspect(CLI::App& app) {
  struct Flags {
    std::string path;
    bool blocks = false;
    int64_t max_layers = 0;
  };
  const auto flags = std::make_shared<Flags>();
  app.add_option("MODEL", flags->path, "ONNX model")->required();
  CLI::Option* blocks = app.add_flag("--blocks", flags->blocks,
                                     "List the blocks of layers that are trained together");
  app.add_option("--max-layers", flags->max_layers,
                 "Layers of a block (default: a residual connection and what it spans, or a chain)")
      ->option_text("N")
      ->check(CLI::PositiveNumber)
      ->needs(blocks);
  return [flags](Console& console) -> Status {
    ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(flags->path));
    std::optional<BlockListing> listing;
    if (flags->blocks) {
      ASSIGN_OR_RETURN(listing, ListBlocks(loaded.model, flags->max_layers));
    }
    if (!console.json && listing) {
      PrintBlocks(*listing, console.out);
      return OkStatus();
    }
    const Findings findings = Inspect(loaded.model);
    if (!console.json) {
      Print(loaded, findings, console.out);
      return OkStatus();
    }
    Json json = ToJson(loaded, findings);
    if (listing) json["blocks"] = BlocksToJson(*listing);
    console.out << json.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    return OkStatus();
  };
}

}  // namespace roundel::cmd
