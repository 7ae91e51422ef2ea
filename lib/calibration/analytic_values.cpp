#include "lib/calibration/analytic_values.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/layer.h"
#include "lib/graph/operators.h"
#include "lib/session/session.h"
#include "lib/walk/stretch.h"

namespace roundel::calibration {
namespace {

using graph::Fact;
using graph::Node;

constexpr int64_t kColumns = 512;

// The quantile of the standard normal distribution for the share `p`: by bisection, to 1e-12.
double NormalQuantile(double p) {
  double low = -10, high = 10;
  while (high - low > 1e-12) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return low;
}

// The quantiles of the midpoints of kColumns equal shares.
std::vector<double> NormalQuantiles() {
  std::vector<double> quantiles;
  for (int64_t i = 0; i < kColumns; ++i)
    quantiles.push_back(NormalQuantile((static_cast<double>(i) + 0.5) / kColumns));
  return quantiles;
}

class Analysis {
 public:
  explicit Analysis(const Session& session)
      : session_(session), graph_(*session.model.graph), random_(1 + SeedOf(session)) {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) positions_[graph_.nodes()[i].get()] = i;
  }

  Result<std::map<std::string, Tensor>> Run(const std::vector<double>& input_range) {
    if (!input_range.empty()) DrawInputs(input_range[0], input_range[1]);
    for (const graph::NodePtr& node : graph_.nodes()) RETURN_IF_ERROR(Visit(node.get()));
    return std::move(columns_);
  }

 private:
  // ---- drawing

  // In an order that depends on the channel.
  std::vector<double> Shuffled(std::vector<double> values) {
    random_.Shuffle(values);
    return values;
  }

  void DrawInputs(double low, double high) {
    for (const graph::ValueInfo& input : graph_.inputs) {
      if (graph_.FindInitializer(input.name) || input.dtype != DType::kFloat || !input.shape ||
          input.shape->size() < 2 || (*input.shape)[1].value.value_or(0) <= 0)
        continue;
      const int64_t channels = *(*input.shape)[1].value;
      Tensor x = Empty(channels, input.shape->size());
      std::vector<double> shares;
      for (int64_t k = 0; k < kColumns; ++k)
        shares.push_back((static_cast<double>(k) + 0.5) / kColumns);
      for (int64_t c = 0; c < channels; ++c) {
        shares = Shuffled(std::move(shares));
        for (int64_t k = 0; k < kColumns; ++k)
          x.mutable_data<float>()[k * channels + c] =
              static_cast<float>(low + (high - low) * shares[static_cast<size_t>(k)]);
      }
      columns_[input.name] = x;
    }
  }

  static Tensor Empty(int64_t channels, size_t rank) {
    Shape shape = {kColumns, channels};
    shape.resize(std::max<size_t>(2, rank), 1);
    return Tensor::Empty(DType::kFloat, shape);
  }

  Tensor DrawNormal(const OutputMoments& statistics, size_t rank) {
    const auto channels = std::ssize(statistics.mean);
    Tensor y = Empty(channels, rank);
    for (int64_t c = 0; c < channels; ++c) {
      const std::vector<double> normal = Shuffled(quantiles_);
      for (int64_t k = 0; k < kColumns; ++k)
        y.mutable_data<float>()[k * channels + c] = static_cast<float>(
            statistics.mean[static_cast<size_t>(c)] +
            statistics.deviation[static_cast<size_t>(c)] * normal[static_cast<size_t>(k)]);
    }
    return y;
  }

  // ---- computing

  Status Visit(Node* node) {
    std::string why;
    if (graph::IsLayerOp(*node)) {
      const auto layer = graph::MatchLayer(graph_, node, &why);
      const auto known =
          layer ? session_.output_moments.find(layer->output()) : session_.output_moments.end();
      if (known != session_.output_moments.end())
        columns_[layer->output()] = DrawNormal(known->second, graph::IsConvolution(*layer) ? 4 : 2);
      return OkStatus();
    }
    if (columns_.contains(node->output(0)) || !node->domain.empty()) return OkStatus();
    if (const Tensor* x = Find(node->input(0), columns_)) {
      if (graph::Has(*node, Fact::kSampledAsIs)) columns_[node->output(0)] = *x;
      if (graph::Has(*node, Fact::kSampledFlat))
        columns_[node->output(0)] = x->Reshaped({kColumns, x->dim(1)});
      if (node->Is("ReduceMean") && IsMeanOverPositions(*node, x->rank()))
        columns_[node->output(0)] =
            node->Int("keepdims", 1) != 0 ? *x : x->Reshaped({kColumns, x->dim(1)});
    }
    return Compute(*node);
  }

  bool IsMeanOverPositions(const Node& node, int64_t rank) const {
    const Tensor* given = graph_.Constant(node.input(1));
    const std::vector<int64_t> axes =
        given && given->dtype() == DType::kInt64 ? given->ToInt64s() : node.Ints("axes");
    return std::ssize(axes) == rank - 2 && std::all_of(axes.begin(), axes.end(), [&](int64_t axis) {
             return (axis < 0 ? axis + rank : axis) >= 2;
           });
  }

  static const Tensor* Find(const std::string& value, const std::map<std::string, Tensor>& values) {
    const auto found = values.find(value);
    return found == values.end() ? nullptr : &found->second;
  }

  // Runs the node in the engine, with the columns as a batch; also nodes with only constant inputs.
  Status Compute(const Node& node) {
    walk::Stretches::Part part;
    std::vector<Tensor> inputs;
    std::vector<DType> types;
    bool constant = true;
    for (const std::string& input : node.inputs) {
      if (input.empty() || graph_.Constant(input) ||
          std::count(part.inputs.begin(), part.inputs.end(), input))
        continue;
      const Tensor* column = Find(input, columns_);
      const Tensor* x = column ? column : Find(input, constants_);
      if (!x) return OkStatus();
      constant = constant && !column;
      part.inputs.push_back(input);
      inputs.push_back(*x);
      types.push_back(x->dtype());
    }
    if (node.outputs.size() != 1 || !(constant || graph::Has(node, Fact::kSampled)))
      return OkStatus();
    part.outputs = {node.output(0)};
    part.nodes = {positions_.at(&node)};
    const Result<std::vector<Tensor>> made = RunPart(part, types, inputs);
    // Columns have no positions: an operator that uses positions has no result here, and the
    // statistics of its output are unknown.
    if (!made.ok())
      return made.status().kind() == ErrorKind::kInterrupted ? made.status() : OkStatus();
    if (constant)
      constants_[node.output(0)] = (*made)[0];
    else
      Keep(node, (*made)[0]);
    return OkStatus();
  }

  Result<std::vector<Tensor>> RunPart(const walk::Stretches::Part& part,
                                      const std::vector<DType>& types,
                                      const std::vector<Tensor>& inputs) const {
    ASSIGN_OR_RETURN(const auto executor,
                     engine::Executor::Create(walk::PartModel(session_.model, part, types)));
    return executor->Run(inputs);
  }

  void Keep(const Node& node, const Tensor& y) {
    const bool columns = y.dtype() == DType::kFloat && y.rank() >= 2 && y.dim(0) == kColumns &&
                         y.size() == kColumns * y.dim(1);
    if (columns) columns_[node.output(0)] = y;
    // Positions were added around the only one.
    const Tensor* x = node.Is("Pad") && !columns ? Find(node.input(0), columns_) : nullptr;
    if (x) columns_[node.output(0)] = Tensor(*x);
  }

  const Session& session_;
  const graph::Graph& graph_;
  const std::vector<double> quantiles_ = NormalQuantiles();
  Random random_;
  std::unordered_map<const Node*, size_t> positions_;
  std::map<std::string, Tensor> columns_;    // [kColumns, channels] or [kColumns, channels, 1, 1]
  std::map<std::string, Tensor> constants_;  // computed from constants
};

}  // namespace

Result<quant::CalibrationStatistics> AnalyticStatistics(const Session& session,
                                                        const std::vector<std::string>& values,
                                                        quant::StatisticsNeeds needs,
                                                        const std::vector<double>& input_range) {
  if (!input_range.empty() && (input_range.size() != 2 || !(input_range[0] < input_range[1])))
    return UsageError("input_range: give two numbers, the lower one first");
  ASSIGN_OR_RETURN(const auto known, Analysis(session).Run(input_range));
  quant::CalibrationStatistics statistics;
  for (const std::string& value : values) {
    const auto found = known.find(value);
    if (found == known.end()) continue;
    const Tensor& x = found->second;
    quant::ValueStatistics seen(needs);
    RETURN_IF_ERROR(seen.Observe({x.data<float>(), static_cast<size_t>(x.size())}, kColumns)
                        .At(StrCat("value '", value, "'")));
    statistics.values.emplace(value, std::move(seen));
  }
  for (const graph::NodePtr& node : session.model.graph->nodes()) {
    const auto found = known.find(node->input(0));
    if (!graph::IsLayerOp(*node) || found == known.end()) continue;
    const Tensor& x = found->second;
    quant::InputMean mean{.mean = std::vector<double>(static_cast<size_t>(x.dim(1))),
                          .count = kColumns};
    for (int64_t i = 0; i < x.size(); ++i)
      mean.mean[static_cast<size_t>(i % x.dim(1))] += x.data<float>()[i] / double{kColumns};
    statistics.input_means[node->input(0)] = std::move(mean);
  }
  return statistics;
}

}  // namespace roundel::calibration
