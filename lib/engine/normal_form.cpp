#include "lib/engine/normal_form.h"

#include "lib/base/text.h"
#include "lib/engine/fold_constants.h"
#include "lib/graph/activation_idioms.h"
#include "lib/graph/check.h"
#include "lib/graph/constant_nodes.h"
#include "lib/graph/inline.h"
#include "lib/graph/opset.h"
#include "lib/graph/unfuse.h"

namespace roundel::engine {
namespace {

std::string FreedInputsLine(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  return StrCat(names.size(),
                names.size() == 1 ? " graph input that has an initializer is"
                                  : " graph inputs that have initializers are",
                " now constant: ", Join(names, ", ", kShown),
                "; if callers feed them, give --keep-initializer-inputs");
}

}  // namespace

Result<std::vector<std::string>> MakeNormalForm(graph::Model* model,
                                                const NormalFormOptions& options) {
  std::vector<std::string> lines;
  if (!options.keep_initializer_inputs) {
    const std::vector<std::string> freed = graph::MakeInitializersConstant(model);
    if (!freed.empty()) lines.push_back(FreedInputsLine(freed));
  }
  if (const Status inlined = graph::InlineFunctions(model); !inlined.ok())
    lines.push_back(
        StrCat("functions cannot be inlined, and their nodes stay float: ", inlined.message()));
  std::set<std::string> names;
  graph::CollectNames(*model->graph, &names);
  graph::MakeConstantNodesInitializers(model->graph.get(), &names);
  RETURN_IF_ERROR(FoldConstants(model).status());
  graph::UnfuseLayers(
      model);  // functions may contain such nodes, and inlining may make their weights constant
  graph::RewriteActivationIdioms(model);
  graph::FlattenSoftmaxes(model);
  RETURN_IF_ERROR(graph::CheckModel(model));
  return lines;
}

}  // namespace roundel::engine
