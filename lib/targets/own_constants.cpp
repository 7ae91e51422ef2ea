#include "lib/targets/own_constants.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

// By (first output of the reader, input).
using Forms = std::map<std::pair<std::string, int>, std::string>;

// The readers of one form, in the order of the graph.
struct FormReaders {
  std::string form;
  std::vector<graph::Use> uses;
  bool fixed = false;  // a sub-graph or an output of the graph reads it by name
};

// Readers that accept any form join the first quantized one.
void JoinOthers(std::vector<FormReaders>* readers) {
  const auto any = std::find_if(readers->begin(), readers->end(),
                                [](const auto& r) { return r.form == kAnyForm; });
  if (any == readers->end() || readers->size() == 1) return;
  auto host = std::find_if(readers->begin(), readers->end(), [](const auto& r) {
    return r.form != kAnyForm && !r.form.empty() && !r.form.starts_with("bias");
  });
  if (host == readers->end()) host = any == readers->begin() ? any + 1 : readers->begin();
  host->uses.insert(host->uses.end(), any->uses.begin(), any->uses.end());
  host->fixed |= any->fixed;
  readers->erase(any);
}

std::vector<FormReaders> ReadersOf(const Graph& graph, const std::string& value,
                                   const Forms& forms) {
  std::vector<FormReaders> readers;
  const auto of = [&readers](const std::string& form) -> FormReaders& {
    for (FormReaders& known : readers)
      if (known.form == form) return known;
    return readers.emplace_back(FormReaders{form, {}, false});
  };
  for (const graph::Use& use : graph.Uses(value)) {
    const auto form = forms.find({MainOutput(*use.node), use.index});
    FormReaders& same = of(form == forms.end() ? "" : form->second);
    same.uses.push_back(use);
    same.fixed |= use.index < 0;
  }
  if (graph.IsOutput(value)) of("").fixed = true;
  JoinOthers(&readers);
  // Floats come last, so that they read the copy, unless their name is fixed.
  std::stable_sort(readers.begin(), readers.end(), [](const auto& a, const auto& b) {
    return std::pair(!a.fixed, a.form.empty()) < std::pair(!b.fixed, b.form.empty());
  });
  return readers;
}

void Separate(const std::string& value, const Forms& forms, Graph* graph,
              std::vector<ConstantCopy>* copies) {
  const std::vector<FormReaders> readers = ReadersOf(*graph, value, forms);
  const Tensor constant = *graph->Constant(value);
  for (size_t i = 1; i < readers.size(); ++i) {
    if (readers[i].fixed) continue;
    const std::string copy = graph->FreshName(value + "_copy");
    graph->SetInitializer(copy, constant);
    for (const graph::Use& use : readers[i].uses) {
      graph->SetInput(use.node, static_cast<size_t>(use.index), copy);
      copies->push_back({copy, value, MainOutput(*use.node), use.index});
    }
  }
}

Result<Placement> PlaceInFlat(graph::Model* model, const Profile& profile, const GridChoice& choice,
                              std::vector<ConstantCopy>* copies, const RangeDecisions& joins) {
  std::vector<ConstantCopy> made;
  // The form of a bias depends on its layer's weight, which may itself have been copied before.
  // Every round removes readers from a value, so that the loop ends.
  for (;;) {
    ASSIGN_OR_RETURN(Placement placement, Place(*model, profile, choice, joins));
    std::vector<std::string> values;
    std::map<std::string, Forms> forms;
    for (const ConstantUse& use : placement.constant_uses) {
      if (!forms.contains(use.value)) values.push_back(use.value);
      forms[use.value][{use.reader, use.index}] = use.form;
    }
    const size_t before = made.size();
    for (const std::string& value : values)
      Separate(value, forms[value], model->graph.get(), &made);
    if (made.size() > before) continue;
    if (copies) copies->insert(copies->end(), made.begin(), made.end());
    return placement;
  }
}

Status CopyInFlat(const std::vector<ConstantCopy>& copies, graph::Model* model) {
  Graph& graph = *model->graph;
  for (const ConstantCopy& c : copies) {
    Node* reader = graph.Producer(c.reader);
    const Tensor* constant = graph.Constant(c.value);
    const bool fits = reader && constant && c.index >= 0 &&
                      static_cast<size_t>(c.index) < reader->inputs.size() &&
                      reader->input(static_cast<size_t>(c.index)) == c.value;
    if (!fits)
      return UsageError(StrCat("the node that writes '", Printable(c.reader),
                               "' does not read a constant '", Printable(c.value), "'"));
    if (!graph.FindInitializer(c.copy)) graph.SetInitializer(c.copy, Tensor(*constant));
    graph.SetInput(reader, static_cast<size_t>(c.index), c.copy);
  }
  return OkStatus();
}

// Runs `f` on the model with the bodies of control flow inlined into the graph around them.
template <typename F>
auto InFlat(graph::Model* model, const F& f) {
  if (!graph::HasBodies(*model->graph)) return f();
  const graph::Bodies bodies = graph::FlattenBodies(model);
  auto result = f();
  graph::RestoreBodies(bodies, model, /*unite_constants=*/false);
  return result;
}

}  // namespace

Result<Placement> PlaceSeparately(graph::Model* model, const Profile& profile,
                                  const GridChoice& choice, std::vector<ConstantCopy>* copies,
                                  const RangeDecisions& joins) {
  return InFlat(model, [&] { return PlaceInFlat(model, profile, choice, copies, joins); });
}

Status CopyConstants(const std::vector<ConstantCopy>& copies, graph::Model* model) {
  return InFlat(model, [&] { return CopyInFlat(copies, model); });
}

}  // namespace roundel::target
