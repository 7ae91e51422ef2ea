// Models with independent samples: the analysis of known forms; and wherever it finds independence, a
// batch gives the same results as its samples one at a time.

#include "lib/engine/sample_axis.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/lib/engine/engine_test_support.h"

namespace roundel::engine {
namespace {

constexpr char kConstants[] = R"(
int64[] c0 = {0}
int64[] c1 = {1}
int64[] c2 = {2}
int64[1] v0 = {0}
int64[1] v1 = {1}
int64[1] v2 = {2}
int64[1] last = {-1}
int64[2] v01 = {0, 1}
int64[1] four = {4}
int64[4] ones4 = {1, 1, 1, 1}
int64[4] keep4 = {-1, -1, -1, -1}
float32[] half = {0.5}
float32[] low = {-30}
float32[1,4] row = random(1)
float32[4,4] square = random(2)
float32[1,1,9,9] table = random(3)
float32[9,4] places = random(4)
float32[1,2,1] frequencies = random(5)
)";

graph::Model Model(const std::string& nodes) {
  return ParseModel("opset 14\ngraph g (float32[N,S,4] x, int64[N,S] mask) => (float32 y) {" +
                    std::string(kConstants) + nodes + "\n}");
}

Tensor RandomMask(int64_t samples, int64_t steps, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> mask(static_cast<size_t>(samples * steps));
  for (int64_t& m : mask) m = random.Uniform() < 0.7 ? 1 : 0;
  return Tensor::FromVector({samples, steps}, mask);
}

Tensor One(const Tensor& batch, int64_t sample) {
  Shape shape = batch.shape();
  shape[0] = 1;
  Tensor one = Tensor::Empty(batch.dtype(), shape);
  std::memcpy(one.mutable_raw(), static_cast<const char*>(batch.raw()) + sample * one.byte_size(),
              static_cast<size_t>(one.byte_size()));
  return one;
}

// The single results one behind the other; false if the whole batch gives something else. Models
// that do not fit the shapes, alone or as a batch, say nothing.
bool BatchIsItsSamples(const graph::Model& model, int64_t samples, int64_t steps, uint64_t seed,
                       bool* ran) {
  const Tensor x = RandomTensor({samples, steps, 4}, seed), mask = RandomMask(samples, steps, seed);
  auto executor = Executor::Create(model, {.fast_kernels = false});
  *ran = false;
  if (!executor.ok()) return true;
  std::vector<std::vector<Tensor>> singles;
  for (int64_t i = 0; i < samples; ++i) {
    auto single = (*executor)->Run({One(x, i), One(mask, i)});
    if (!single.ok()) return true;
    singles.push_back(std::move(*single));
  }
  auto whole = (*executor)->Run({x, mask});
  if (!whole.ok()) return false;
  *ran = true;
  std::vector<char> joined;
  int64_t rows = 0;
  for (const auto& single : singles) {
    const Tensor& y = single[0];
    if (y.rank() == 0) return false;
    rows += y.dim(0);
    const auto* bytes = static_cast<const char*>(y.raw());
    joined.insert(joined.end(), bytes, bytes + y.byte_size());
  }
  Shape shape = singles[0][0].shape();
  shape[0] = rows;
  const Tensor& y = (*whole)[0];
  return y.shape() == shape &&
         (joined.empty() || std::memcmp(y.raw(), joined.data(), joined.size()) == 0);
}

void CheckApart(const std::string& name, const std::string& nodes) {
  INFO(name);
  const graph::Model model = Model(nodes);
  const auto judgment = JudgeSamples(model);
  REQUIRE(judgment.ok());
  INFO(judgment->reason);
  CHECK(judgment->independent);
  for (const int64_t steps : {1, 3, 4}) {
    bool ran = false;
    CHECK(BatchIsItsSamples(model, 3, steps, 11, &ran));
    CHECK(ran);
  }
}

constexpr char kSequence[] =
    "shape = Shape(mask)\nseq = Gather(shape, c1)\nbatch = Gather(shape, c0)\n"
    "range = Range(c0, seq, c1)\n";
constexpr char kScores[] =
    "xt = Transpose<perm=[0,2,1]>(x)\nflat = MatMul(x, xt)\n"
    "scores = Unsqueeze(flat, v1)\n";
constexpr char kEnd[] = "shares = Softmax<axis=-1>(masked)\ny = ReduceSum<keepdims=0>(shares, v2)";

TEST_CASE("samples with positions along the sequence in common are apart") {
  const std::string sequence = kSequence;
  CheckApart(
      "embedded positions, as BERT has them",
      sequence + "ids = Unsqueeze(range, v0)\nplace = Gather(places, ids)\ny = Add(x, place)");
  CheckApart("a slice of a table of positions",
             "shape = Shape(mask)\nseq = Gather(shape, v1)\npart = Slice(places, v0, seq, v0)\n"
             "y = Add(x, part)");
  CheckApart("positions counted from the mask",
             "sums = CumSum(mask, c1)\nids = Sub(sums, c1)\nzero = Less(ids, c0)\n"
             "fixed = Where(zero, c1, ids)\nplace = Gather(places, fixed)\ny = Add(x, place)");
  CheckApart(
      "rotary embeddings by a product with the positions",
      sequence +
          "ids = Unsqueeze(range, v01)\nreal = Cast<to=1>(ids)\n"
          "b1 = Unsqueeze(batch, v0)\nsizes = Concat<axis=0>(b1, v2, v1)\n"
          "wide = Expand(frequencies, sizes)\nangle = MatMul(wide, real)\n"
          "turned = Transpose<perm=[0,2,1]>(angle)\ntwice = Concat<axis=-1>(turned, turned)\n"
          "cosine = Cos(twice)\ny = Mul(x, cosine)");
}

TEST_CASE("samples under causal masks and masks of their own are apart") {
  const std::string start = std::string(kSequence) + kScores;
  const std::string square = "s1 = Unsqueeze(seq, v0)\nss = Concat<axis=0>(s1, s1)\n";
  CheckApart(
      "causal by Trilu",
      start + square +
          "full = ConstantOfShape<value=float32[1]{-30}>(ss)\nupper = Trilu<upper=1>(full, c1)\n"
          "masked = Add(scores, upper)\n" +
          kEnd);
  CheckApart("causal by comparison",
             start +
                 "rows = Unsqueeze(range, v1)\nallowed = LessOrEqual(range, rows)\n"
                 "four_d = Unsqueeze(allowed, v01)\nmasked = Where(four_d, scores, low)\n" +
                 kEnd);
  CheckApart("causal by a slice of a constant, whose ends are computed",
             start +
                 "s1 = Unsqueeze(seq, v0)\ns0 = Sub(s1, s1)\nrows = Slice(table, s0, s1, v2)\n"
                 "cut = Slice(rows, v0, s1, last)\nmasked = Add(scores, cut)\n" +
                 kEnd);
  CheckApart("a mask expanded over the scores",
             start +
                 "b1 = Unsqueeze(batch, v0)\ns1 = Unsqueeze(seq, v0)\n"
                 "sizes = Concat<axis=0>(b1, v1, s1, s1)\nm4 = Unsqueeze(mask, v12)\n"
                 "wide = Expand(m4, sizes)\nreal = Cast<to=1>(wide)\nhidden = Sub(half, real)\n"
                 "none = Cast<to=9>(real)\nmasked = Where(none, scores, hidden)\n" +
                 kEnd + "\nint64[2] v12 = {1, 2}");
  CheckApart(
      "sizes kept by -1, as exporters write expand",
      start +
          "b1 = Unsqueeze(batch, v0)\ns1 = Unsqueeze(seq, v0)\n"
          "sizes = Concat<axis=0>(b1, v1, s1, s1)\nkept = Equal(sizes, keep4)\n"
          "real_sizes = Where(kept, ones4, sizes)\nm4 = Unsqueeze(mask, v12)\n"
          "wide = Expand(m4, real_sizes)\nreal = Cast<to=1>(wide)\nmasked = Add(scores, real)\n" +
          kEnd + "\nint64[2] v12 = {1, 2}");
  CheckApart("both masks",
             start + square +
                 "full = ConstantOfShape<value=float32[1]{1}>(ss)\nlower = Trilu<upper=0>(full)\n"
                 "seen = Cast<to=9>(lower)\nm4 = Unsqueeze(mask, v12)\nkept = Cast<to=9>(m4)\n"
                 "both = And(seen, kept)\nmasked = Where(both, scores, low)\n" +
                 kEnd + "\nint64[2] v12 = {1, 2}");
}

TEST_CASE("heads among the samples are apart, and what is picked by a sample's own index") {
  CheckApart("heads in front",
             std::string(kSequence) +
                 "b2 = Mul(batch, c2)\nb21 = Unsqueeze(b2, v0)\ns1 = Unsqueeze(seq, v0)\n"
                 "sizes = Concat<axis=0>(b21, s1, v2)\ncut = Reshape(x, sizes)\n"
                 "y = Softmax<axis=1>(cut)");
  CheckApart("the last token",
             "last_one = ArgMax<axis=1, keepdims=1>(mask)\nat = Unsqueeze(last_one, v2)\n"
             "real = GatherElements<axis=1>(x, at)\ny = Mul(real, half)");
  CheckApart(
      "all samples by name",
      "part = Slice(x, starts, ends, axes)\ny = Mul(part, half)\nint64[3] starts = {0, 0, 1}\n"
      "int64[3] ends = {1000000000, 9, 3}\nint64[3] axes = {0, 1, -1}");
  CheckApart("repeats", "times = Concat<axis=0>(v1, v2, v1)\ny = Tile(x, times)");
}

bool Independent(const std::string& nodes) {
  const auto judgment = JudgeSamples(Model(nodes));
  return judgment.ok() && judgment->independent;
}

TEST_CASE("what depends on the number of samples, or lies along them, keeps them together") {
  const std::string sequence = kSequence;
  CHECK_FALSE(Independent(sequence +
                          "r = Range(c0, batch, c1)\nf = Cast<to=1>(r)\n"
                          "w = Unsqueeze(f, v1)\nw3 = Unsqueeze(w, v1)\ny = Add(x, w3)"));
  CHECK_FALSE(Independent(sequence + "f = Cast<to=1>(batch)\ny = Mul(x, f)"));
  CHECK_FALSE(Independent("s = Size(x)\nf = Cast<to=1>(s)\ny = Mul(x, f)"));
  CHECK_FALSE(Independent(sequence + "eq = Equal(batch, seq)\ny = Where(eq, x, half)"));
  CHECK_FALSE(Independent(sequence + "eq = Equal(batch, c2)\ny = Where(eq, x, half)"));
  CHECK_FALSE(Independent("y = Slice(x, v0, v2, v0)"));
  CHECK_FALSE(Independent("y = Slice(x, v1, far, v0)\nint64[1] far = {1000000000}"));
  CHECK_FALSE(
      Independent("y = Slice(x, last, low_end, v0, last)\nint64[1] low_end = {-1000000000}"));
  CHECK_FALSE(Independent("sums = CumSum(x, c0)\ny = Mul(sums, half)"));
  CHECK_FALSE(Independent("f = Cast<to=1>(mask)\nt = Trilu(f)\ny = Mul(t, half)"));
  CHECK_FALSE(Independent("times = Concat<axis=0>(v2, v1, v1)\ny = Tile(x, times)"));
  CHECK_FALSE(Independent("i = ArgMax<axis=0>(x)\ny = Cast<to=1>(i)"));
  // One for all samples, of the rank of a batch: its first axis could be theirs.
  CHECK_FALSE(Independent(sequence +
                          "f = Cast<to=1>(range)\na = Unsqueeze(f, v1)\nb = Unsqueeze(a, v1)\n"
                          "y = Add(x, b)"));
  CHECK_FALSE(Independent(sequence + "y = Cast<to=1>(range)"));
}

TEST_CASE("sizes cut with attributes, as models of old opsets do") {
  const auto model = ParseModel(R"(opset 9
graph g (float32[N,3,4] x) => (float32[A,B] y) {
  int64[1] rest = {-1}
  s = Shape(x)
  n = Slice<axes=[0], starts=[0], ends=[1]>(s)
  d = Concat<axis=0>(n, rest)
  y = Reshape(x, d)
})");
  CHECK(JudgeSamples(model)->independent);
}

// ---- random graphs

class Graphs {
 public:
  explicit Graphs(uint64_t seed) : random_(seed) {}

  std::string Make() {
    text_.clear();
    floats_ = {"x", "row", "square", "places", "table", "half"};
    integers_ = {"mask", "v1", "v01", "c1"};
    sizes_ = {"v0", "v1", "v2", "c1", "four"};
    bools_.clear();
    Add("sizes", "Shape(mask)");
    const int nodes = 4 + Below(9);
    for (int i = 0; i < nodes; ++i) AddNode();
    text_ += "y = Mul(" + floats_.back() + ", half)";
    return text_;
  }

 private:
  int Below(int n) { return static_cast<int>(random_.Uniform() * n); }
  // Prefers recent values, so that nodes form chains.
  const std::string& Pick(const std::vector<std::string>& from) {
    const int n = static_cast<int>(from.size());
    return from[static_cast<size_t>(Below(2) ? n - 1 - Below(std::min(n, 3)) : Below(n))];
  }
  std::string Axis() { return std::to_string(Below(4) - 1); }
  std::string Axes() {
    return std::vector<std::string>{"v0", "v1", "v2", "last", "v01"}[size_t(Below(5))];
  }
  std::string Place() {
    return std::vector<std::string>{"c0", "c1", "v0", "v1", "v01"}[size_t(Below(5))];
  }

  void Add(const std::string& kind, const std::string& what) {
    const std::string name = "n" + std::to_string(++made_);
    text_ += name + " = " + what + "\n";
    if (kind == "sizes") sizes_.push_back(name);
    if (kind == "sizes" || kind == "integers") integers_.push_back(name);
    if (kind == "floats") floats_.push_back(name);
    if (kind == "bools") bools_.push_back(name);
  }

  void AddNode() {
    switch (Below(6)) {
      case 0: return AddSizes();
      case 1: return AddCommon();
      case 2: return AddMoved();
      default: return AddMath();
    }
  }
  void AddSizes() {
    switch (Below(6)) {
      case 0: return Add("sizes", "Shape(" + Pick(floats_) + ")");
      case 1: return Add("sizes", "Gather(" + Pick(sizes_) + ", " + Place() + ")");
      case 2: return Add("sizes", "Concat<axis=0>(" + Pick(sizes_) + ", " + Pick(sizes_) + ")");
      case 3:
        return Add("sizes",
                   (Below(2) ? "Mul(" : "Sub(") + Pick(sizes_) + ", " + Pick(sizes_) + ")");
      case 4: return Add("sizes", "Unsqueeze(" + Pick(sizes_) + ", v0)");
      default:
        return Add("sizes",
                   "Slice(" + Pick(sizes_) + ", " + Pick(sizes_) + ", " + Pick(sizes_) + ", v0)");
    }
  }
  void AddCommon() {
    switch (Below(5)) {
      case 0: return Add("integers", "Range(c0, " + Pick(sizes_) + ", c1)");
      case 1: return Add("floats", "ConstantOfShape(" + Pick(sizes_) + ")");
      case 2: return Add("floats", "Expand(" + Pick(floats_) + ", " + Pick(sizes_) + ")");
      case 3: return Add("floats", "Gather(" + Pick(floats_) + ", " + Pick(integers_) + ")");
      default: return Add("floats", "Cast<to=1>(" + Pick(integers_) + ")");
    }
  }
  void AddMoved() {
    const std::string v = Pick(floats_);
    switch (Below(9)) {
      case 0: return Add("floats", "Unsqueeze(" + v + ", " + Axes() + ")");
      case 1: return Add("floats", "Squeeze(" + v + ", " + Axes() + ")");
      case 2: return Add("floats", "Slice(" + v + ", v0, " + Pick(sizes_) + ", " + Axes() + ")");
      case 3: return Add("floats", "Reshape(" + v + ", " + Pick(sizes_) + ")");
      case 4:
        return Add("floats", std::string("Transpose<perm=") + (Below(2) ? "[0,2,1]" : "[1,0]") +
                                 ">(" + v + ")");
      case 5: return Add("floats", "Concat<axis=" + Axis() + ">(" + v + ", " + Pick(floats_) + ")");
      case 6: return Add("floats", "Tile(" + v + ", " + Pick(sizes_) + ")");
      case 7: return Add("floats", "Trilu<upper=0>(" + v + ")");
      default:
        return Add("floats", "Gather<axis=" + Axis() + ">(" + v + ", " + Pick(integers_) + ")");
    }
  }
  void AddMath() {
    const std::string a = Pick(floats_), b = Pick(floats_);
    switch (Below(9)) {
      case 0: return Add("floats", "MatMul(" + a + ", " + b + ")");
      case 1: return Add("bools", "LessOrEqual(" + a + ", " + b + ")");
      case 2: return Add("bools", "Equal(" + Pick(integers_) + ", " + Pick(integers_) + ")");
      case 3:
        if (bools_.empty()) return Add("floats", "Sub(" + a + ", " + b + ")");
        return Add("floats", "Where(" + Pick(bools_) + ", " + a + ", " + b + ")");
      case 4: return Add("floats", "Softmax<axis=" + Axis() + ">(" + a + ")");
      case 5:
        return Add("floats", "ReduceSum<keepdims=" + std::to_string(Below(2)) + ">(" + a + ", " +
                                 Axes() + ")");
      case 6: return Add("floats", "CumSum(" + a + ", c1)");
      case 7: return Add("integers", "ArgMax<axis=" + Axis() + ">(" + a + ")");
      default: return Add("floats", "Add(" + a + ", " + b + ")");
    }
  }

  Random random_;
  int made_ = 0;
  std::string text_;
  std::vector<std::string> floats_, integers_, sizes_, bools_;
};

TEST_CASE("random graphs judged apart give as a batch what their samples give") {
  int judged = 0, ran_at_all = 0;
  const char* more = std::getenv("ROUNDEL_SAMPLE_GRAPHS");
  const int graphs = more ? std::atoi(more) : 4000;
  for (int seed = 0; seed < graphs; ++seed) {
    const std::string nodes = Graphs(static_cast<uint64_t>(seed)).Make();
    const graph::Model model = Model(nodes);
    const auto judgment = JudgeSamples(model);
    if (!judgment.ok() || !judgment->independent) continue;
    ++judged;
    for (const int64_t steps : {2, 3}) {
      bool ran = false;
      INFO("graph " << seed << ", " << steps << " steps\n" << nodes);
      CHECK(BatchIsItsSamples(model, 3, steps, static_cast<uint64_t>(seed), &ran));
      ran_at_all += ran;
    }
  }
  INFO(judged << " of " << graphs << " judged apart, " << ran_at_all << " runs");
  CHECK(judged > graphs / 50);
  CHECK(ran_at_all > judged / 4);
}

}  // namespace
}  // namespace roundel::engine
