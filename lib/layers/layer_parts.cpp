#include "lib/layers/layer_parts.h"

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/bytes.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/walk/columns.h"

namespace roundel::layers {
namespace {

// ---- dividing the layers

// The number of columns of each layer's input over all data, if all batches are like the first.
Result<std::vector<double>> AvailableColumns(const LayerSweep& s) {
  std::map<std::string, Shape> shapes;
  engine::ExecutorOptions options;
  std::vector<engine::Tap> taps;
  for (const SweepLayer& layer : s.layers)
    if (const std::string& value = layer.outline.layer.input(); shapes.try_emplace(value).second) {
      options.tapped_values.push_back(value);
      taps.push_back({value, false, [&shape = shapes[value]](const engine::TapView& view) {
                        shape = view.shape;
                        return OkStatus();
                      }});
    }
  RETURN_IF_ERROR(s.session.data->Rewind());
  ASSIGN_OR_RETURN(const std::optional<Batch> batch, s.session.data->Next());
  std::vector<double> columns(s.layers.size());
  if (!batch) return columns;
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(s.session.model, options));
  RETURN_IF_ERROR(executor->Run(batch->inputs, taps).status());
  const double batches = static_cast<double>(s.session.data->size()) /
                         static_cast<double>(std::max<int64_t>(1, batch->size));
  for (size_t i = 0; i < columns.size(); ++i) {
    const UnfoldedLayer& layer = s.layers[i].outline;
    ASSIGN_OR_RETURN(
        const walk::Columns unfolded,
        walk::Columns::Create(layer.layer, layer.weight_shape, shapes.at(layer.layer.input())));
    columns[i] = batches * static_cast<double>(unfolded.positions());
  }
  return columns;
}

// Multiply-adds for the sums of a layer with n inputs and m outputs, over as many columns as
// layer_tiles.cpp takes, and for its solution: measured, about this many m n^2.
double CostOf(const UnfoldedLayer& layer, double columns, const StatisticsOptions& options,
              bool solves) {
  constexpr double kLeastColumns = 16384, kSolving = 500;
  const auto n = static_cast<double>(layer.n), m = static_cast<double>(layer.m);
  columns = std::min(columns,
                     std::max(kLeastColumns, static_cast<double>(options.columns_per_input) * n));
  const double sums = columns * (n * n / 2 + 2 * m * n);
  return static_cast<double>(layer.groups) * (sums + (solves ? kSolving * m * n * n : 0));
}

// The part of each layer: the most expensive one left goes to the part with the least to do.
Result<std::vector<int>> PartOfEach(const LayerSweep& s, const LayerPart& part) {
  const auto owner = [&s](size_t i) { return s.layers[i].first.value_or(i); };
  ASSIGN_OR_RETURN(const std::vector<double> columns, AvailableColumns(s));
  std::vector<double> cost(s.layers.size());
  std::vector<size_t> order;
  for (size_t i = 0; i < s.layers.size(); ++i) {
    cost[owner(i)] += CostOf(s.layers[i].outline, columns[i], s.statistics, !part.sums_only);
    if (owner(i) == i) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&cost](size_t a, size_t b) { return cost[a] > cost[b]; });
  std::vector<double> load(static_cast<size_t>(part.count));
  std::vector<int> parts(s.layers.size());
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += cost[i];
    parts[i] = static_cast<int>(least - load.begin());
  }
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = parts[owner(i)];
  return parts;
}

// ---- records of parts

struct PartRecord {
  LayerStore::Origin origin;
  int index = 0, count = 1;
};

std::string KeyOf(const PartRecord& record) {
  return StrCat(record.origin.all(), ".", record.index, "-of-", record.count, ".part");
}

Result<std::vector<PartRecord>> RecordsOf(const Store& store) {
  std::vector<PartRecord> records;
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, store.Keys());
  for (const std::string& key : keys) {
    if (!key.ends_with(".part")) continue;
    ASSIGN_OR_RETURN(const std::optional<std::string> stored, store.Get(key));
    const std::string bytes = stored.value_or("");
    ByteReader in(bytes);
    PartRecord record;
    for (std::string* text : {&record.origin.model, &record.origin.data, &record.origin.settings})
      *text = in.Text();
    record.index = in.Number<int32_t>();
    record.count = in.Number<int32_t>();
    if (!in.Complete() || KeyOf(record) != key)
      return InternalError(
          StrCat("'", key, "' in the store '", store.folder(), "' is damaged: delete it"));
    records.push_back(std::move(record));
  }
  return records;
}

// kData if records of the same model follow from other data or settings than `origin`.
Status CheckSame(const std::vector<PartRecord>& records, const LayerStore::Origin& origin,
                 const std::string& folder) {
  for (const PartRecord& record : records) {
    if (record.origin.model != origin.model || record.origin.all() == origin.all()) continue;
    const std::string what = record.origin.data != origin.data
                                 ? "calibration data"
                                 : "settings (samples, columns_per_input, held_out, seed, or "
                                   "layers that depend on earlier ones)";
    return DataError(StrCat("the store '", folder, "' holds part ", record.index, "/", record.count,
                            " of this model's layers for other ", what,
                            ": give the same, or another --store"));
  }
  return OkStatus();
}

// The parts that `origin` lacks, of the division of which most are there.
Status CheckNoneMissing(const std::vector<PartRecord>& records, const std::string& origin,
                        const std::string& folder) {
  std::map<int, std::set<int>> present;  // by the number of parts
  for (const PartRecord& record : records)
    if (record.origin.all() == origin) present[record.count].insert(record.index);
  std::vector<std::string> fewest;
  for (const auto& [count, indices] : present) {
    std::vector<std::string> missing;
    for (int i = 0; i < count; ++i)
      if (!indices.contains(i)) missing.push_back(StrCat(i, "/", count));
    if (missing.empty()) return OkStatus();
    if (fewest.empty() || missing.size() < fewest.size()) fewest = std::move(missing);
  }
  if (fewest.empty()) return OkStatus();
  const bool one = fewest.size() == 1;
  return DataError(StrCat("the store '", folder, "' lacks ", one ? "part " : "the parts ",
                          Join(fewest, ", ", 8), " of the layers: run ", one ? "it" : "them",
                          " with --shard, or give another --store"));
}

}  // namespace

bool SumsOnly(const LayerSweep& s) { return s.session.part && s.session.part->sums_only; }

Status TakePart(LayerSweep& s) {
  if (!s.session.part) return OkStatus();
  const LayerPart& part = *s.session.part;
  INVARIANT(s.session.store, "a part needs a store");
  if (!s.statistics.reference_inputs)
    return UsageError(
        StrCat("each layer depends on the codes of earlier ones, so that --shard "
               "cannot divide them: --set ",
               s.options.pass, ".", s.options.independent));
  if (part.sums_only && s.options.needs_inputs)
    return UsageError(
        "--sums-only: this solver needs the inputs of layers, not only sums: use --shard alone");
  ASSIGN_OR_RETURN(const std::vector<int> parts, PartOfEach(s, part));
  for (size_t i = 0; i < parts.size(); ++i) s.layers[i].elsewhere = parts[i] != part.index;
  return OkStatus();
}

Status CheckParts(const LayerSweep& s) {
  if (!s.session.store) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<PartRecord> records, RecordsOf(*s.session.store));
  const LayerStore::Origin& origin = s.store.origin();
  RETURN_IF_ERROR(CheckSame(records, origin, s.session.store->folder()));
  if (s.session.part) return OkStatus();
  const bool other = std::none_of(records.begin(), records.end(), [&origin](const auto& record) {
    return record.origin.model == origin.model;
  });
  if (other && !records.empty())
    s.session.report->warnings.push_back(
        StrCat("the store '", s.session.store->folder(),
               "' holds parts of the layers of other models only (or of this one after other "
               "passes), which are not used"));
  return CheckNoneMissing(records, origin.all(), s.session.store->folder());
}

Status RecordPart(const LayerSweep& s) {
  if (!s.session.part) return OkStatus();
  const PartRecord record = {s.store.origin(), s.session.part->index, s.session.part->count};
  const auto mine = std::count_if(s.layers.begin(), s.layers.end(),
                                  [](const SweepLayer& layer) { return !layer.elsewhere; });
  s.session.report->Metric("part_layers", static_cast<int64_t>(mine));
  s.session.report->Metric("all_layers", std::ssize(s.layers));
  ByteWriter out;
  for (const std::string* text :
       {&record.origin.model, &record.origin.data, &record.origin.settings})
    out.Text(*text);
  out.Number<int32_t>(record.index);
  out.Number<int32_t>(record.count);
  return s.session.store->Put(KeyOf(record), out.bytes());
}

Status MergeStores(const Store& from, const Store& to, int64_t* copied) {
  ASSIGN_OR_RETURN(const std::vector<PartRecord> theirs, RecordsOf(from));
  ASSIGN_OR_RETURN(const std::vector<PartRecord> ours, RecordsOf(to));
  for (const PartRecord& record : theirs)
    RETURN_IF_ERROR(
        CheckSame(ours, record.origin, to.folder()).At(StrCat("'", from.folder(), "'")));
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, from.Keys());
  for (const std::string& key : keys) {
    if (to.Has(key)) continue;
    ASSIGN_OR_RETURN(const std::optional<std::string> contents, from.Get(key));
    if (!contents) continue;
    RETURN_IF_ERROR(to.Put(key, *contents));
    ++*copied;
  }
  return OkStatus();
}

Status CheckComplete(const Store& store) {
  ASSIGN_OR_RETURN(const std::vector<PartRecord> records, RecordsOf(store));
  std::set<std::string> origins;
  for (const PartRecord& record : records) origins.insert(record.origin.all());
  for (const std::string& origin : origins)
    RETURN_IF_ERROR(CheckNoneMissing(records, origin, store.folder()));
  return OkStatus();
}

}  // namespace roundel::layers
