#include "cmd/inspect_blocks.h"

#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/grad/backward.h"
#include "lib/report/report.h"

namespace roundel::cmd {
namespace {

int64_t CountWeights(const BlockListing& listing, const structure::Block& block) {
  int64_t count = 0;
  for (const std::string& weight : block.weights)
    if (const Tensor* value = listing.model.graph->Constant(weight)) count += value->size();
  return count;
}

// The first name, and how many follow.
std::string Summary(const std::vector<std::string>& names) {
  if (names.empty()) return "";
  const std::string first = Printable(names[0], 40);
  return names.size() == 1 ? first : StrCat(first, " + ", names.size() - 1);
}

}  // namespace

Result<BlockListing> ListBlocks(const graph::Model& model, int64_t max_layers) {
  BlockListing listing{.model = graph::Clone(model)};
  RETURN_IF_ERROR(engine::MakeNormalForm(&listing.model).status());
  const structure::BlockOptions options = {.max_layers = max_layers,
                                           .why_no_gradient = [&](const graph::Node& node) {
                                             return grad::WhyNoGradient(listing.model, node);
                                           }};
  listing.blocks = structure::FindBlocks(listing.model, options);
  for (const structure::Block& block : listing.blocks) listing.layers += block.layers.size();
  return listing;
}

nlohmann::ordered_json BlocksToJson(const BlockListing& listing) {
  using Json = nlohmann::ordered_json;
  Json array = Json::array();
  for (const structure::Block& block : listing.blocks) {
    Json layers = Json::array();
    for (const size_t layer : block.layers)
      layers.push_back(listing.model.graph->nodes()[layer]->NameOrOutput());
    array.push_back({{"name", block.name},
                     {"layers", std::move(layers)},
                     {"weights", CountWeights(listing, block)},
                     {"nodes", block.nodes.size()},
                     {"inputs", block.inputs},
                     {"outputs", block.outputs},
                     {"targets", block.targets},
                     {"boundary", block.boundary}});
  }
  return array;
}

void PrintBlocks(const BlockListing& listing, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"block", "layers", "weights", "nodes", "inputs", "outputs"}};
  for (const structure::Block& block : listing.blocks)
    rows.push_back({Printable(block.name, 40), StrCat(block.layers.size()),
                    StrCat(CountWeights(listing, block)), StrCat(block.nodes.size()),
                    Summary(block.inputs), Summary(block.outputs)});
  out << report::TextTable(rows);
  out << listing.blocks.size() << " blocks, " << listing.layers << " layers\n";
  for (const structure::Block& block : listing.blocks)
    if (!block.boundary.empty())
      out << "  " << Printable(block.name, 40) << " ends: " << Printable(block.boundary, 300)
          << "\n";
}

}  // namespace roundel::cmd
