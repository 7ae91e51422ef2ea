#include "lib/targets/import_pairs.h"

#include "lib/targets/read_quantizer.h"

namespace roundel::target {
namespace {

using graph::Node;
using quant::Encoding;
using quant::Granularity;

// Makes the output of a DQ an Identity of `value` with the encoding. Equal pairs share one.
void TakeThroughCopy(Importing& s, const std::string& value, const std::string& output,
                     const Encoding& e) {
  const bool is_output = s.g.IsOutput(output);
  const auto [first, last] = s.copies.equal_range(value);
  for (auto copy = first; copy != last && !is_output; ++copy) {
    if (!SameQuantizer(s.encodings.at(copy->second), e)) continue;
    s.reads[output] = copy->second;
    return;
  }
  const std::string stripped = StripSuffix(output, kDequantizeOutputSuffix);
  const std::string name = is_output ? output : s.names.Fresh(stripped);
  s.AddIdentity(value, name);
  if (!is_output) s.reads[output] = name;
  s.encodings[name] = e;
  s.copies.emplace(value, name);
}

}  // namespace

bool TakeQuantize(Importing& s, const Node& q) {
  ReadResult read = ReadQuantizer(s.g, q, StorageOf(s.g, q), RankOf(s.g, q.input(0)));
  if (read.problem.empty() && read.encoding.granularity == Granularity::kBlock &&
      !s.g.Constant(q.input(0)))
    read.problem = "blocks of an activation";
  if (read.problem.empty() && s.g.IsOutput(q.output(0))) read.problem = "its codes are an output";
  if (const Tensor* constant = s.g.Constant(q.input(0));
      constant && constant->dtype() != DType::kFloat)
    read.problem = "its input is " + DTypeName(constant->dtype());
  for (const graph::Use& use : s.g.Uses(q.output(0))) {
    if (!read.problem.empty()) break;
    if (use.index != 0 || !IsDequantizeNode(*use.node)) {
      read.problem = kKeptForReader + use.node->DisplayName();
      break;
    }
    const ReadResult dq = ReadQuantizer(s.g, *use.node, StorageOf(s.g, q), RankOf(s.g, q.input(0)));
    if (!dq.problem.empty() || !SameQuantizer(dq.encoding, read.encoding))
      read.problem = "the DequantizeLinear after it has other parameters";
    else if (const auto grid = DeclaredGrid(*use.node, read.encoding))
      read.encoding.grid = *grid;
  }
  if (!read.problem.empty()) {
    s.Keep(q, read.problem);
    return false;
  }
  s.quantizers.emplace(&q, std::move(read.encoding));
  return true;
}

void TakeActivation(Importing& s, const Node& dq, const std::string& raw, const Encoding& e) {
  const std::string value = s.Resolve(raw);
  const std::string& output = dq.output(0);
  const bool is_output = s.g.IsOutput(output);
  const auto known = s.encodings.find(value);
  if (known != s.encodings.end() && SameQuantizer(known->second, e)) {
    if (is_output)
      s.AddIdentity(value, output);
    else
      s.reads[output] = value;
    return;
  }
  // If other readers of the value do not read it through this pair, the pair needs a separate
  // value.
  if (known != s.encodings.end() || value != raw || !s.HasOneReading(raw, e))
    return TakeThroughCopy(s, value, output, e);
  if (!is_output || s.g.IsInput(raw)) {
    s.encodings[raw] = e;
    if (is_output)
      s.AddIdentity(raw, output);
    else
      s.reads[output] = raw;
    return;
  }
  // x -> Q -> DQ -> graph output: the producer of x writes the graph output.
  s.encodings[output] = e;
  s.writes[raw] = output;
  s.reads[raw] = output;
}

}  // namespace roundel::target
