// TfIdfVectorizer on integers: counts n-grams of token numbers. Strings are not supported.
//
// The pool is one list: all its 1-grams, then its 2-grams, and so on; ngram_counts gives the start
// of each length. N-gram i of the pool adds to y[ngram_indexes[i]]:
//    TF     the number of its occurrences
//    IDF    weights[i] if it occurs
//    TFIDF  the number of its occurrences times weights[i]
// An n-gram can occur at every position, with 0 to max_skip_count tokens skipped between neighbors,
// and each occurrence counts. A single token has no neighbors and counts once.

#include <algorithm>
#include <map>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

struct Ngrams {
  int64_t shortest = 1, longest = 1, skips = 0;
  std::map<std::vector<int64_t>, size_t> pool;  // tokens -> index in the pool
  std::vector<int64_t> indexes;                 // index in the result, for each entry of the pool
  std::vector<float> weights;                   // for each entry of the pool
  bool counts = true, weighs = false;  // whether the result depends on the count and on the weight
  int64_t width = 0;                   // elements of a row of the result
};

Status ReadMode(const graph::Node& node, Ngrams* ngrams) {
  const std::string mode = node.String("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    return ModelError(StrCat("mode '", mode, "' is not TF, IDF or TFIDF"));
  ngrams->counts = mode != "IDF";
  ngrams->weighs = mode != "TF";
  return OkStatus();
}

// Adds the n-grams of all lengths to the map; returns the number of n-grams.
Result<size_t> ReadPool(const graph::Node& node, Ngrams* ngrams) {
  const std::vector<int64_t> tokens = node.Ints("pool_int64s");
  const std::vector<int64_t> starts = node.Ints("ngram_counts");
  const auto size = static_cast<int64_t>(tokens.size()), lengths = std::ssize(starts);
  if (ngrams->shortest < 1 || ngrams->longest < ngrams->shortest || ngrams->longest > lengths ||
      ngrams->skips < 0)
    return ModelError(StrCat("n-grams of ", ngrams->shortest, " to ", ngrams->longest,
                             " tokens with up to ", ngrams->skips, " skips, ngram_counts [",
                             Join(starts), "]"));
  size_t number = 0;
  for (int64_t length = 1; length <= lengths; ++length) {
    const int64_t begin = starts[length - 1], end = length < lengths ? starts[length] : size;
    if (begin < 0 || end < begin || end > size || (end - begin) % length != 0)
      return ModelError(StrCat("ngram_counts [", Join(starts), "] do not cut a pool of ", size,
                               " tokens into n-grams"));
    for (int64_t at = begin; at < end; at += length, ++number)
      if (!ngrams->pool
               .emplace(std::vector(tokens.begin() + at, tokens.begin() + at + length), number)
               .second)
        return ModelError(StrCat("n-gram ", number, " occurs twice in the pool"));
  }
  return number;
}

Result<Ngrams> ReadNgrams(const graph::Node& node) {
  if (node.FindAttribute("pool_strings"))
    return ModelError("n-grams of strings are not supported, only those of integers");
  Ngrams ngrams;
  ngrams.shortest = node.Int("min_gram_length", 0);
  ngrams.longest = node.Int("max_gram_length", 0);
  ngrams.skips = node.Int("max_skip_count", 0);
  RETURN_IF_ERROR(ReadMode(node, &ngrams));
  ASSIGN_OR_RETURN(const size_t count, ReadPool(node, &ngrams));
  ngrams.indexes = node.Ints("ngram_indexes");
  ngrams.weights = node.Floats("weights");
  if (ngrams.weights.empty()) ngrams.weights.assign(count, 1.0f);
  if (count == 0 || ngrams.indexes.size() != count || ngrams.weights.size() != count)
    return ModelError(StrCat("ngram_indexes of ", ngrams.indexes.size(), " and weights of ",
                             ngrams.weights.size(), " values for ", count, " n-grams"));
  const auto [least, greatest] = std::minmax_element(ngrams.indexes.begin(), ngrams.indexes.end());
  if (*least < 0 || *greatest >= kMaxTensorBytes)
    return ModelError(StrCat("ngram_indexes from ", *least, " to ", *greatest));
  ngrams.width = *greatest + 1;
  return ngrams;
}

// The number of occurrences of each n-gram of the pool in `row`.
std::vector<int64_t> Occurrences(const Ngrams& ngrams, const int64_t* row, int64_t length) {
  std::vector<int64_t> counts(ngrams.indexes.size(), 0);
  std::vector<int64_t> key;
  for (int64_t n = ngrams.shortest; n <= std::min(ngrams.longest, length); ++n) {
    // The largest distance with which n tokens fit into the row.
    const int64_t widest = n == 1 ? 1 : (length - 1) / (n - 1);
    const int64_t steps = n == 1 ? 1 : std::min(ngrams.skips, widest - 1) + 1;
    for (int64_t step = 1; step <= steps; ++step)
      for (int64_t start = 0; start + (n - 1) * step < length; ++start) {
        key.clear();
        for (int64_t i = 0; i < n; ++i) key.push_back(row[start + i * step]);
        if (const auto found = ngrams.pool.find(key); found != ngrams.pool.end())
          ++counts[found->second];
      }
  }
  return counts;
}

// x [length] or [rows, length] -> y [width] or [rows, width].
Status TfIdfVectorizer(OpContext& context) {
  ASSIGN_OR_RETURN(const Ngrams ngrams, ReadNgrams(context.node()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> tokens, IntegerInput(context, 0));
  Shape shape = context.input(0)->shape();
  if (shape.size() != 1 && shape.size() != 2)
    return ModelError(
        StrCat("tokens of shape ", ShapeString(shape), ", one or two dimensions are needed"));
  const int64_t length = shape.back(), rows = shape.size() == 1 ? 1 : shape[0];
  shape.back() = ngrams.width;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  float* to = y->mutable_data<float>();
  std::fill_n(to, y->size(), 0.0f);
  for (int64_t row = 0; row < rows; ++row, to += ngrams.width) {
    const std::vector<int64_t> counts = Occurrences(ngrams, tokens.data() + row * length, length);
    for (size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0)
        to[ngrams.indexes[i]] += (ngrams.counts ? static_cast<float>(counts[i]) : 1.0f) *
                                 (ngrams.weighs ? ngrams.weights[i] : 1.0f);
  }
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> NgramRows() {
  return {
      {"TfIdfVectorizer", "", 9, kLatest, &TfIdfVectorizer},
  };
}

}  // namespace roundel::engine
