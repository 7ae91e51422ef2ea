#include "lib/walk/layer_walk.h"

#include <memory>
#include <unordered_map>
#include <utility>

#include "lib/base/progress.h"
#include "lib/walk/stream_inputs.h"

namespace roundel::walk {
namespace {

class Walker {
 public:
  Walker(const graph::Model& model, const quant::EncodingTable& encodings,
         const std::vector<const graph::Node*>& layers, const WalkOptions& options)
      : model_(model),
        layers_(layers),
        options_(options),
        positions_(Positions(model, layers)),
        stretches_(*model.graph, positions_),
        streams_(model, options.reference, encodings, options.memory_bytes, options.spill_folder) {}

  Status Run(DataSource& data, const VisitLayer& visit) {
    const std::vector<bool>& wanted = options_.wanted;
    size_t run = layers_.size();  // layers up to the last one that needs inputs
    while (run > 0 && !wanted.empty() && !wanted[run - 1]) --run;
    if (run > 0)
      RETURN_IF_ERROR(streams_.ReadData(data, options_.samples, [&](const std::string& input) {
        return stretches_.ReadFrom(input, 0);
      }));
    Progress progress(options_.label, std::ssize(layers_), "layers");
    size_t at = 0;
    for (size_t i = 0; i < layers_.size(); ++i) {
      std::unique_ptr<LayerInputs> inputs;
      if (i < run) {
        // Every layer is a stop even if it is not visited: stored values are rounded, and a resumed
        // run must see the same ones.
        RETURN_IF_ERROR(streams_.Run(stretches_.Between(at, positions_[i]), Which::kBoth));
        at = positions_[i];
        DropUnread(at);
        if (wanted.empty() || wanted[i])
          inputs = InputsFrom(streams_, DataInput(*model_.graph, *layers_[i]));
      }
      ASSIGN_OR_RETURN(const std::string said, visit(i, inputs.get()));
      progress.Advance(1, said);
      if (i < run) DropUnread(at);
    }
    return OkStatus();
  }

 private:
  static std::vector<size_t> Positions(const graph::Model& model,
                                       const std::vector<const graph::Node*>& layers) {
    std::unordered_map<const graph::Node*, size_t> position;
    const auto& nodes = model.graph->nodes();
    for (size_t i = 0; i < nodes.size(); ++i) position[nodes[i].get()] = i;
    std::vector<size_t> positions;
    for (const graph::Node* layer : layers) {
      INVARIANT(position.contains(layer), "a layer that is not in the model");
      positions.push_back(position[layer]);
      INVARIANT(positions.size() == 1 || positions.back() > positions[positions.size() - 2],
                "layers are visited in the order of the model's nodes");
    }
    return positions;
  }

  void DropUnread(size_t position) {
    streams_.Keep([&](const std::string& value) { return stretches_.ReadFrom(value, position); });
  }

  const graph::Model& model_;
  const std::vector<const graph::Node*>& layers_;
  const WalkOptions& options_;
  const std::vector<size_t> positions_;
  const Stretches stretches_;
  Streams streams_;
};

}  // namespace

Status WalkLayers(const graph::Model& model, const quant::EncodingTable& encodings,
                  const std::vector<const graph::Node*>& layers, DataSource& data,
                  const WalkOptions& options, const VisitLayer& visit) {
  return Walker(model, encodings, layers, options).Run(data, visit);
}

}  // namespace roundel::walk
