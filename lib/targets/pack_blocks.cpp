// MatMulNBits and GatherBlockQuantized, operators of com.microsoft whose weights are codes:
//
//    from   x -> MatMul(w [K, N]) -> y
//    to     x -> MatMulNBits(B, scales, zero_points) -> y
//
//    B            uint8 [N, blocks, block_size * bits / 8]: the transposed matrix; codes along K,
//                 the first one in the lowest bits; blocks = ceil(K / block_size)
//    scales       float32 [N, blocks]
//    zero_points  uint8 [N, ceil(blocks * bits / 8)], packed alike; omitted if all are 2^(bits-1)
//
// These codes are unsigned: 2^(bits-1) is added to the codes and zero points of signed grids, which
// changes no value.

#include <algorithm>
#include <bit>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/graph/operators.h"
#include "lib/targets/formats.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Encoding;
using quant::Granularity;

// Blocks with a length that the operators do not support are written as several shorter ones with
// the same scale. Their length is the largest power of two that divides the block.
int64_t WrittenBlock(int64_t size) { return std::min(size & -size, kMaxPackedBlock); }

// A constant matrix as rows (outputs) of K codes (inputs), for any order of its axes.
struct Rows {
  const Encoding& encoding;
  const Shape shape;  // of the value
  int64_t n, k, row_stride, code_stride;
  int64_t block;  // along K
  int bits;       // of storage
  int offset;     // from the grid's codes to unsigned ones
  int64_t blocks() const { return (k + block - 1) / block; }
  const quant::QParams& Params(int64_t row, int64_t index) const {
    const int64_t flat = row * row_stride + index * block * code_stride;
    return encoding.params[static_cast<size_t>(encoding.ParamIndex(shape, flat))];
  }
};

// The block size for an encoding without blocks along K: scales are repeated.
int64_t PlainBlock(int64_t k) {
  const auto whole = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(k)));
  return std::clamp(whole, kMinPackedBlock, kMaxPackedBlock);
}

std::optional<Rows> FindRows(const Encoding& e, const Shape& shape, int64_t reduce_axis) {
  const int bits = BitWidth(e.grid.storage_type());
  if (e.grid.is_float() || shape.size() != 2 || (bits != 2 && bits != 4 && bits != 8))
    return std::nullopt;
  const int64_t k = shape[static_cast<size_t>(reduce_axis)];
  const int64_t n = shape[static_cast<size_t>(1 - reduce_axis)];
  if (k == 0 || n == 0) return std::nullopt;
  const bool blocks = e.granularity == Granularity::kBlock;
  // The operators cannot store scales that vary along K without forming blocks.
  if (e.granularity != Granularity::kTensor && (e.axis == reduce_axis) != blocks)
    return std::nullopt;
  if (blocks && !IsPackedBlock(WrittenBlock(e.block_size))) return std::nullopt;
  return Rows{.encoding = e,
              .shape = shape,
              .n = n,
              .k = k,
              .row_stride = reduce_axis == 0 ? 1 : k,
              .code_stride = reduce_axis == 0 ? n : 1,
              .block = blocks ? WrittenBlock(e.block_size) : PlainBlock(k),
              .bits = bits,
              .offset = e.grid.is_signed ? 1 << (bits - 1) : 0};
}

// Writes `count` codes, given by code(i), lowest bits first.
template <typename Code>
void PackRow(int64_t count, int bits, const Code& code, uint8_t* to) {
  const int per_byte = 8 / bits;
  for (int64_t i = 0; i < count; ++i) {
    const int shift = static_cast<int>(i % per_byte) * bits;
    to[i / per_byte] = static_cast<uint8_t>(to[i / per_byte] | code(i) << shift);
  }
}

int64_t PackedBytes(int64_t count, int bits) { return (count * bits + 7) / 8; }

constexpr int64_t kRowGrain = 16;

// [N, blocks * block bytes]; the tail of the last block is padded with the middle of the grid.
Tensor PackedCodes(const Rows& rows, const Tensor& codes, int64_t padded_k) {
  const int64_t bytes = PackedBytes(padded_k, rows.bits);
  Tensor packed = Tensor::Zeros(DType::kUint8, {rows.n, bytes});
  auto* to = packed.mutable_data<uint8_t>();
  // int8 wraps, and so does its offset
  const auto* from = static_cast<const uint8_t*>(codes.raw());
  const int mask = (1 << rows.bits) - 1, middle = 1 << (rows.bits - 1);
  ParallelFor(rows.n, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t* line = from + row * rows.row_stride;
      PackRow(
          padded_k, rows.bits,
          [&](int64_t i) {
            return i < rows.k ? (line[i * rows.code_stride] + rows.offset) & mask : middle;
          },
          to + row * bytes);
    }
  });
  return packed;
}

Tensor ScaleRows(const Rows& rows) {
  Tensor scales = Tensor::Empty(DType::kFloat, {rows.n, rows.blocks()});
  auto* to = scales.mutable_data<float>();
  for (int64_t row = 0; row < rows.n; ++row)
    for (int64_t i = 0; i < rows.blocks(); ++i) *to++ = rows.Params(row, i).scale;
  return scales;
}

bool HasMiddleZeroPoints(const Rows& rows) {
  const int middle = 1 << (rows.bits - 1);
  for (const quant::QParams& p : rows.encoding.params)
    if (p.zero_point + rows.offset != middle) return false;
  return true;
}

Tensor PackedZeroPoints(const Rows& rows) {
  const int64_t bytes = PackedBytes(rows.blocks(), rows.bits);
  Tensor packed = Tensor::Zeros(DType::kUint8, {rows.n, bytes});
  auto* to = packed.mutable_data<uint8_t>();
  for (int64_t row = 0; row < rows.n; ++row)
    PackRow(
        rows.blocks(), rows.bits,
        [&](int64_t i) { return rows.Params(row, i).zero_point + rows.offset; }, to + row * bytes);
  return packed;
}

class Packer {
 public:
  Packer(const ExportOptions& options, graph::Model* model, quant::EncodingTable* table)
      : options_(options), model_(*model), g_(*model->graph), table_(*table), names_(g_) {}

  void Run() {
    auto made = EmptyCopy(g_);
    for (const auto& initializer : g_.initializers()) made->AddInitializer(initializer);
    for (const auto& node : g_.nodes())
      if (!Pack(*node, made.get())) made->AddNode(Node(*node));
    if (packed_.empty()) return;
    CopyValueInfo(g_, made.get());
    RemoveUnusedConstants(made.get());
    // A weight that a reader still needs as floats keeps its encoding.
    std::erase_if(table_, [&](const auto& entry) {
      return packed_.contains(entry.first) && !made->Constant(entry.first);
    });
    model_.graph = made;
    model_.SetOpset(kContribDomain, std::max<int64_t>(1, model_.Opset(kContribDomain)));
  }

 private:
  bool Pack(const Node& node, Graph* made) {
    const auto slots = graph::FindLayerSlots(g_, node, 2);
    const bool matrix = graph::Has(node, graph::Fact::kMatrix);
    if (!slots || (!matrix && !node.Is("Gather")) || (matrix && slots->weight == 0)) return false;
    const std::string& value = node.input(slots->weight);
    const auto entry = table_.find(value);
    const Tensor* weight = g_.Constant(value);
    if (entry == table_.end() || !weight || weight->dtype() != DType::kFloat) return false;
    const auto rows = FindRows(entry->second, weight->shape(), slots->reduce_axis);
    if (!rows) return false;
    const Encoding& e = entry->second;
    const Tensor codes = e.codes ? *e.codes : quant::QuantizeTensor(*weight, e);
    const bool done = matrix ? PackMatrix(node, value, *rows, codes, made)
                             : PackTable(node, value, *rows, codes, made);
    if (done) packed_.insert(value);
    return done;
  }

  // Nodes that read the same matrix in the same layout share initializers.
  std::string Constant(const std::string& value, const std::string& suffix, const Tensor& tensor,
                       Graph* made) {
    const auto [known, fresh] = constants_.try_emplace(value + "\n" + suffix, "");
    if (!fresh) return known->second;
    known->second = names_.Fresh(value + suffix);
    made->AddInitializer({.name = known->second, .value = tensor});
    return known->second;
  }

  bool PackMatrix(const Node& node, const std::string& value, const Rows& rows, const Tensor& codes,
                  Graph* made) {
    const bool gemm = node.Is("Gemm");
    if (gemm && (node.Int("transA", 0) != 0 || node.Float("alpha", 1) != 1 ||
                 (!node.input(2).empty() && node.Float("beta", 1) != 1)))
      return false;
    // Rows of [N, K] and columns of [K, N] are different constants of one value.
    const std::string suffix = StrCat("_Q", rows.bits, rows.row_stride == 1 ? "" : "T");
    const int64_t block_bytes = rows.block * rows.bits / 8;
    Tensor packed = PackedCodes(rows, codes, rows.blocks() * rows.block);
    packed = packed.Reshaped({rows.n, rows.blocks(), block_bytes});
    Node made_node{.name = names_.Fresh(node.NameOrOutput() + suffix),
                   .op_type = "MatMulNBits",
                   .domain = kContribDomain,
                   .inputs = {node.input(0), Constant(value, suffix, packed, made),
                              Constant(value, suffix + "_scales", ScaleRows(rows), made)},
                   .outputs = node.outputs};
    if (!HasMiddleZeroPoints(rows))
      made_node.inputs.push_back(
          Constant(value, suffix + "_zero_points", PackedZeroPoints(rows), made));
    made_node.SetAttribute("K", rows.k);
    made_node.SetAttribute("N", rows.n);
    made_node.SetAttribute("bits", int64_t{rows.bits});
    made_node.SetAttribute("block_size", rows.block);
    if (options_.accuracy_level > 0)
      made_node.SetAttribute("accuracy_level", options_.accuracy_level);
    AddWithBias(std::move(made_node), gemm ? node.input(2) : "", made);
    return true;
  }

  // The bias of a Gemm becomes an Add: not every runtime's MatMulNBits supports a bias.
  void AddWithBias(Node node, const std::string& bias, Graph* made) {
    const std::string output = node.output(0);
    if (!bias.empty()) node.outputs = {names_.Fresh(output + "_product")};
    const std::string product = node.output(0);
    made->AddNode(std::move(node));
    if (!bias.empty())
      made->AddNode({.name = names_.Fresh(output + "_bias"),
                     .op_type = "Add",
                     .inputs = {product, bias},
                     .outputs = {output}});
  }

  bool PackTable(const Node& node, const std::string& value, const Rows& rows, const Tensor& codes,
                 Graph* made) {
    // The codes in a byte are consecutive along the last axis, so that its length must be a
    // multiple.
    const int per_byte = 8 / rows.bits;
    if (node.Int("axis", 0) != 0 || rows.k % per_byte != 0) return false;
    const std::string suffix = StrCat("_Q", rows.bits);
    Node made_node{
        .name = names_.Fresh(node.NameOrOutput() + suffix),
        .op_type = "GatherBlockQuantized",
        .domain = kContribDomain,
        .inputs = {Constant(value, suffix + "_rows", PackedCodes(rows, codes, rows.k), made),
                   node.input(1), Constant(value, suffix + "_row_scales", ScaleRows(rows), made)},
        .outputs = node.outputs};
    if (!HasMiddleZeroPoints(rows))
      made_node.inputs.push_back(
          Constant(value, suffix + "_row_zero_points", PackedZeroPoints(rows), made));
    made_node.SetAttribute("bits", int64_t{rows.bits});
    made_node.SetAttribute("block_size", rows.block);
    made_node.SetAttribute("gather_axis", int64_t{0});
    made_node.SetAttribute("quantize_axis", int64_t{1});
    made->AddNode(std::move(made_node));
    return true;
  }

  const ExportOptions& options_;
  graph::Model& model_;
  const Graph& g_;
  quant::EncodingTable& table_;
  NameSet names_;
  std::unordered_set<std::string> packed_;
  std::unordered_map<std::string, std::string> constants_;
};

// MatMul and Gemm with a constant matrix become MatMulNBits, Gather of a constant table becomes
// GatherBlockQuantized, if the operator supports the encoding of the weight: 2, 4 or 8 bits of
// storage and blocks of a multiple of 16 along the input axis (or no blocks).
void PackBlocks(const ExportOptions& options, graph::Model* model, quant::EncodingTable* table) {
  const auto old_graph = model->graph;  // outlives the packer, which reads it
  Packer(options, model, table).Run();
}

}  // namespace

Format matmulnbits_format() {
  return {.title = "MatMulNBits", .before = PackBlocks, .has = [](const Node& node) {
            return node.Is("MatMulNBits", kContribDomain);
          }};
}

}  // namespace roundel::target
