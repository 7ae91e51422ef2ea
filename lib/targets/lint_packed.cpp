#include "lib/targets/lint_packed.h"

#include "lib/base/text.h"
#include "lib/targets/export.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/lint_text.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

class PackedLinter {
 public:
  PackedLinter(const Graph& graph, const Node& node, const Profile& profile,
               std::vector<Violation>* violations)
      : graph_(graph), node_(node), profile_(profile), violations_(*violations) {}

  void Run() {
    const bool matrix = node_.Is("MatMulNBits", kContribDomain);
    if (!matrix && !node_.Is("GatherBlockQuantized", kContribDomain)) return;
    bits_ = node_.Int("bits", 4);
    block_ = node_.Int("block_size", matrix ? 0 : 128);
    const bool known_bits = bits_ == 2 || bits_ == 4 || bits_ == 8;
    if (!known_bits)
      Add(StrCat("codes of ", bits_, " bits"), "the operator has 2, 4 and 8 bits",
          "quantize to one of these");
    else
      CheckGrid();
    CheckBlock();
    if (known_bits && block_ >= 1) matrix ? CheckMatrix() : CheckTable();
  }

 private:
  void Add(std::string what, std::string why, std::string advice) {
    violations_.push_back(
        {"packed", node_.DisplayName(), std::move(what), std::move(why), std::move(advice)});
  }

  // Without zero points the codes are those of a signed symmetric grid plus half of its size.
  void CheckGrid() {
    const auto& allowed =
        profile_.weight_only_grids.empty() ? profile_.weight_grids : profile_.weight_only_grids;
    const int bits = static_cast<int>(bits_);
    const bool symmetric = node_.input(3).empty();
    const quant::Grid stored{.bits = bits};
    const quant::Grid meant{.bits = bits, .is_signed = true, .symmetric = true};
    if (GridAllowed(stored, allowed) || (symmetric && GridAllowed(meant, allowed))) return;
    Add(StrCat("weight on ", symmetric ? meant.Name() : stored.Name()),
        StrCat(profile_.name, " takes ", ListText(allowed)), "choose one of these grids");
  }

  void CheckBlock() {
    if (!IsPackedBlock(block_))
      Add(StrCat("blocks of ", block_), "the operator has blocks of 16, 32, 64, 128 and 256",
          "choose such a block size");
    else if (!profile_.block_sizes.empty() && !profile_.block_sizes.contains(block_))
      Add(StrCat("blocks of ", block_), StrCat(profile_.name, " has other block sizes"),
          "choose a block size of the target");
  }

  // Compares the number of elements of input `i`, if it is constant, with rows * per_row. By
  // division, because products of sizes from a file may overflow.
  void CheckCount(size_t i, const char* what, int64_t rows, int64_t per_row) {
    const Tensor* tensor = graph_.Constant(node_.input(i));
    if (!tensor || (tensor->size() % rows == 0 && tensor->size() / rows == per_row)) return;
    Add(StrCat(what, " of shape ", ShapeString(tensor->shape())),
        StrCat(rows, " rows with ", per_row, " each are needed"), "write the weights again");
  }

  void CheckMatrix() {
    const int64_t k = node_.Int("K", 0), n = node_.Int("N", 0);
    constexpr int64_t kMost = int64_t{1} << 31;
    if (k < 1 || n < 1 || k > kMost || n > kMost || block_ > kMost)
      return Add(StrCat("a matrix of ", n, " x ", k), "these are not valid sizes",
                 "write the weights again");
    const int64_t blocks = (k - 1) / block_ + 1;
    CheckCount(1, "weights", n, blocks * ((block_ * bits_ + 7) / 8));
    CheckCount(2, "scales", n, blocks);
    const Tensor* zero = graph_.Constant(node_.input(3));
    if (zero)
      CheckCount(3, "zero points", n,
                 zero->dtype() == DType::kUint8 ? (blocks * bits_ + 7) / 8 : blocks);
  }

  // data [.., quantize_axis, ..]; uint8 holds 8 / bits codes per byte along the last axis.
  void CheckTable() {
    const Tensor *data = graph_.Constant(node_.input(0)), *scales = graph_.Constant(node_.input(2));
    if (!data || !scales || data->rank() == 0) return;
    int64_t axis = node_.Int("quantize_axis", 1);
    if (axis < 0) axis += data->rank();
    if (axis < 0 || axis >= data->rank())
      return Add(StrCat("quantize_axis ", node_.Int("quantize_axis", 1)),
                 StrCat("the data has ", data->rank(), " axes"), "write the weights again");
    Shape wanted = data->shape();
    if (data->dtype() == DType::kUint8) wanted.back() *= 8 / bits_;
    const auto at = static_cast<size_t>(axis);
    wanted[at] = wanted[at] == 0 ? 0 : (wanted[at] - 1) / block_ + 1;
    if (scales->shape() != wanted)
      Add(StrCat("scales of shape ", ShapeString(scales->shape())),
          StrCat("data ", ShapeString(data->shape()), " in blocks of ", block_, " needs ",
                 ShapeString(wanted)),
          "write the weights again");
  }

  const Graph& graph_;
  const Node& node_;
  const Profile& profile_;
  std::vector<Violation>& violations_;
  int64_t bits_ = 0, block_ = 0;
};

}  // namespace

void LintPacked(const Graph& graph, const Node& node, const Profile& profile,
                std::vector<Violation>* violations) {
  PackedLinter(graph, node, profile, violations).Run();
}

}  // namespace roundel::target
