#include "lib/layers/layer_store.h"

#include "lib/base/bytes.h"
#include "lib/base/text.h"
#include "lib/calibration/stored_statistics.h"
#include "lib/layers/session_hash.h"

namespace roundel::layers {
namespace {

void Put(const solver::Gram& gram, ByteWriter* out) {
  out->Number(gram.n);
  out->Number(gram.m);
  out->Number(gram.count);
  for (int64_t i = 0; i < gram.n; ++i)  // the triangle that is maintained
    out->Raw(gram.xx.data() + i * gram.n + i, static_cast<size_t>(gram.n - i) * sizeof(double));
  for (const auto* part : {&gram.x, &gram.yx, &gram.y, &gram.yy}) out->Array(*part);
}

std::optional<solver::Gram> GetGram(ByteReader* in, size_t limit) {
  const auto n = in->Number<int64_t>(), m = in->Number<int64_t>();
  if (n < 0 || m < 0 || (n > 0 && static_cast<size_t>(n) > limit / static_cast<size_t>(n)))
    return std::nullopt;
  solver::Gram gram(n, m, false);
  gram.count = in->Number<double>();
  for (int64_t i = 0; i < n; ++i)
    in->Raw(gram.xx.data() + i * n + i, static_cast<size_t>(n - i) * sizeof(double));
  for (auto* part : {&gram.x, &gram.yx, &gram.y, &gram.yy}) *part = in->Array<double>();
  return gram;
}

void Put(const solver::Columns& columns, ByteWriter* out) {
  out->Number(columns.n);
  out->Number(columns.count);
  out->Array(columns.x);
  out->Array(columns.reference);
}

std::optional<solver::Columns> GetColumns(ByteReader* in) {
  solver::Columns columns;
  columns.n = in->Number<int64_t>();
  columns.count = in->Number<int64_t>();
  columns.x = in->Array<float>();
  columns.reference = in->Array<float>();
  const auto size = static_cast<double>(columns.x.size());
  const bool fits = static_cast<double>(columns.n) * static_cast<double>(columns.count) == size &&
                    (columns.reference.empty() || columns.reference.size() == columns.x.size());
  return fits ? std::optional(std::move(columns)) : std::nullopt;
}

void Put(const std::optional<double>& value, ByteWriter* out) {
  out->Number(value.has_value());
  out->Number(value.value_or(0));
}

std::optional<double> ReadOptional(ByteReader* in) {
  const bool known = in->Number<bool>();
  const auto value = in->Number<double>();
  return known ? std::optional(value) : std::nullopt;
}

void Put(const report::LayerOutcome& o, ByteWriter* out) {
  for (const std::string* text : {&o.node, &o.shared_with, &o.note}) out->Text(*text);
  for (const double number : {o.error_before, o.error_after, o.seconds}) out->Number(number);
  for (const auto* number : {&o.held_out_before, &o.held_out_after, &o.bound}) Put(*number, out);
  out->Number(o.columns);
  out->Number(o.inputs);
  out->Number(o.on_columns);
}

report::LayerOutcome ReadOutcome(ByteReader* in) {
  report::LayerOutcome o;
  for (std::string* text : {&o.node, &o.shared_with, &o.note}) *text = in->Text();
  for (double* number : {&o.error_before, &o.error_after, &o.seconds})
    *number = in->Number<double>();
  for (auto* number : {&o.held_out_before, &o.held_out_after, &o.bound}) *number = ReadOptional(in);
  o.columns = in->Number<int64_t>();
  o.inputs = in->Number<int64_t>();
  o.on_columns = in->Number<bool>();
  return o;
}

}  // namespace

Result<LayerStore> LayerStore::Create(const Session& session, const Store* store,
                                      const StatisticsOptions& statistics, int64_t samples,
                                      const std::string& settings) {
  LayerStore made;
  made.store_ = store;
  made.reference_inputs_ = statistics.reference_inputs;
  made.memory_bytes_ = statistics.memory_bytes;
  if (!store) return made;
  Hasher data, sums;
  data.Add(session.data_hash);
  RETURN_IF_ERROR(AddFirstBatch(session, &data));
  sums.AddNumber(static_cast<uint64_t>(samples));
  sums.AddNumber(static_cast<uint64_t>(statistics.columns_per_input));
  sums.Add(&statistics.held_out, sizeof statistics.held_out);
  sums.AddNumber(statistics.reference_inputs);
  sums.AddNumber(statistics.seed);
  made.origin_ = {calibration::ModelHash(session.model), data.Hex(), sums.Hex()};
  made.data_.Add(made.origin_.all());
  made.chain_ = made.data_;
  made.chain_.Add(settings);
  // Weights that other passes have rounded.
  for (const auto& [value, encoding] : session.encodings)
    if (encoding.codes) AddEncoding(session, value, &made.chain_);
  return made;
}

std::string LayerStore::Origin::all() const {
  Hasher hasher;
  for (const std::string* part : {&model, &data, &settings}) hasher.Add(*part);
  return hasher.Hex();
}

LayerStore::Keys LayerStore::NextLayer(const Session& session, const UnfoldedLayer& layer) {
  if (!store_) return {};
  Hasher statistics = reference_inputs_ ? data_ : chain_;
  statistics.Add("statistics");
  statistics.Add(layer.layer.node->DisplayName());
  statistics.Add(layer.layer.weight());
  statistics.AddNumber(layer.tap_major());
  // Whether the sums fit, and if not, how many columns are kept instead.
  statistics.AddNumber(
      SolvingBytes(layer, false) <= memory_bytes_ ? 0 : static_cast<uint64_t>(memory_bytes_));
  for (const std::string& value :
       {layer.layer.weight(), layer.layer.input(), layer.layer.node->input(2)})
    AddEncoding(session, value, &chain_);
  Hasher solution = chain_;
  solution.Add("solution");
  return {statistics.Hex() + ".sums", solution.Hex() + ".layer"};
}

Status LayerStore::Damaged(const std::string& key) const {
  return InternalError(StrCat("'", key, "' in the store '", store_->folder(),
                              "' is not what this version writes: delete it"));
}

Result<std::string> LayerStore::Read(const std::string& key) const {
  ASSIGN_OR_RETURN(std::optional<std::string> bytes, store_->Get(key));
  if (!bytes) return Damaged(key);
  return std::move(*bytes);
}

Result<LayerStatistics> LayerStore::ReadStatistics(const std::string& key) const {
  ASSIGN_OR_RETURN(const std::string bytes, Read(key));
  ByteReader in(bytes);
  LayerStatistics statistics;
  statistics.columns = in.Number<int64_t>();
  for (auto* side : {&statistics.train, &statistics.held_out}) {
    const auto groups = in.Number<uint64_t>();
    for (uint64_t g = 0; g < groups; ++g) {
      std::optional<solver::Gram> gram = GetGram(&in, bytes.size());
      if (!gram) return Damaged(key);
      side->push_back(std::move(*gram));
    }
  }
  for (auto* side : {&statistics.train_columns, &statistics.held_out_columns}) {
    const auto groups = in.Number<uint64_t>();
    for (uint64_t g = 0; g < groups; ++g) {
      std::optional<solver::Columns> columns = GetColumns(&in);
      if (!columns) return Damaged(key);
      side->push_back(std::move(*columns));
    }
  }
  if (!in.Complete()) return Damaged(key);
  return statistics;
}

Status LayerStore::Write(const std::string& key, const LayerStatistics& statistics) const {
  if (!store_) return OkStatus();
  ByteWriter out;
  out.Number(statistics.columns);
  for (const auto* side : {&statistics.train, &statistics.held_out}) {
    out.Number<uint64_t>(side->size());
    for (const solver::Gram& gram : *side) Put(gram, &out);
  }
  for (const auto* side : {&statistics.train_columns, &statistics.held_out_columns}) {
    out.Number<uint64_t>(side->size());
    for (const solver::Columns& columns : *side) Put(columns, &out);
  }
  return store_->Put(key, out.bytes());
}

Result<SolvedLayer> LayerStore::ReadSolved(const std::string& key) const {
  ASSIGN_OR_RETURN(const std::string bytes, Read(key));
  ByteReader in(bytes);
  SolvedLayer solved;
  solver::Solution& s = solved.solution;
  s.rows = in.Number<int64_t>();
  s.n = in.Number<int64_t>();
  s.codes = in.Array<int32_t>();
  s.params = in.Array<quant::QParams>();
  s.errors = in.Array<double>();
  solved.bias = in.Array<double>();
  solved.outcome = ReadOutcome(&in);
  if (!in.Complete()) return Damaged(key);
  return solved;
}

Status LayerStore::Write(const std::string& key, const SolvedLayer& solved) const {
  if (!store_) return OkStatus();
  ByteWriter out;
  const solver::Solution& s = solved.solution;
  out.Number(s.rows);
  out.Number(s.n);
  out.Array(s.codes);
  out.Array(s.params);
  out.Array(s.errors);
  out.Array(solved.bias);
  Put(solved.outcome, &out);
  return store_->Put(key, out.bytes());
}

}  // namespace roundel::layers
