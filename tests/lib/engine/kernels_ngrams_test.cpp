// TfIdfVectorizer: the modes and shapes that the operator suite leaves out, counted by brute force,
// and what it refuses.

#include "lib/base/random.h"
#include "tests/lib/engine/run_op.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

using Ints = std::vector<int64_t>;
using Attributes = std::vector<std::pair<std::string, graph::Attribute::Value>>;

// All n-grams of tokens 0 and 1 with one to three tokens: 2 + 4 + 8.
const Ints kPool = {0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0,
                    1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1};
const Ints kStarts = {0, 2, 10};
constexpr size_t kNgrams = 14;

Attributes Settings(const std::string& mode, int64_t shortest, int64_t longest, int64_t skips) {
  Ints indexes;  // backwards, and two n-grams share one
  for (size_t i = 0; i < kNgrams; ++i)
    indexes.push_back(i == 0 ? 0 : static_cast<int64_t>(kNgrams - 1 - i));
  std::vector<float> weights;
  for (size_t i = 0; i < kNgrams; ++i) weights.push_back(0.5f + static_cast<float>(i));
  return {{"mode", mode},
          {"min_gram_length", shortest},
          {"max_gram_length", longest},
          {"max_skip_count", skips},
          {"ngram_counts", kStarts},
          {"ngram_indexes", indexes},
          {"pool_int64s", kPool},
          {"weights", weights}};
}

// Every choice of places first, first + step, ... of the row, compared with every n-gram.
std::vector<double> ByBruteForce(const std::string& mode, const Ints& row, int64_t shortest,
                                 int64_t longest, int64_t skips) {
  std::vector<double> y(kNgrams - 1, 0.0);
  const auto length = static_cast<int64_t>(row.size());
  for (size_t number = 0; number < kNgrams; ++number) {
    const int64_t n = number < 2 ? 1 : number < 6 ? 2 : 3;
    const size_t at = number < 2   ? number
                      : number < 6 ? 2 + (number - 2) * 2
                                   : 10 + (number - 6) * 3;
    if (n < shortest || n > longest) continue;
    double count = 0;
    for (int64_t first = 0; first < length; ++first)
      for (int64_t step = 1; step <= (n == 1 ? 1 : skips + 1); ++step) {
        bool same = first + (n - 1) * step < length;
        for (int64_t i = 0; same && i < n; ++i)
          same = row[first + i * step] == kPool[at + static_cast<size_t>(i)];
        count += same;
      }
    const double weight = 0.5 + static_cast<double>(number);
    y[number == 0 ? 0 : kNgrams - 1 - number] += mode == "TF"    ? count
                                                 : mode == "IDF" ? (count > 0 ? weight : 0)
                                                                 : count * weight;
  }
  return y;
}

TEST_CASE("TfIdfVectorizer counts as brute force does", "[kernels]") {
  Random random(3);
  for (const std::string mode : {"TF", "IDF", "TFIDF"})
    for (const int64_t length : {0, 1, 2, 5, 9})
      for (const int64_t skips : {0, 1, 3, 40}) {
        const int64_t rows = 3, shortest = 1 + random.Below(3);
        const int64_t longest = shortest + random.Below(4 - static_cast<uint64_t>(shortest));
        Tensor x = Tensor::Empty(DType::kInt32, {rows, length});
        for (int64_t i = 0; i < x.size(); ++i)
          x.mutable_data<int32_t>()[i] = static_cast<int32_t>(random.Below(3));
        const auto y = RunOp({"TfIdfVectorizer", 9, {x}, Settings(mode, shortest, longest, skips)});
        REQUIRE(y.ok());
        REQUIRE((*y)[0].shape() == Shape{rows, kNgrams - 1});
        for (int64_t row = 0; row < rows; ++row) {
          const Ints tokens(x.data<int32_t>() + row * length,
                            x.data<int32_t>() + (row + 1) * length);
          const auto expected = ByBruteForce(mode, tokens, shortest, longest, skips);
          for (size_t i = 0; i < expected.size(); ++i)
            CHECK((*y)[0].data<float>()[row * std::ssize(expected) + static_cast<int64_t>(i)] ==
                  expected[i]);
        }
      }
}

TEST_CASE("a single sequence gives a single row, and without weights all weigh one", "[kernels]") {
  const Attributes settings = {{"mode", std::string("TFIDF")},  {"min_gram_length", int64_t{2}},
                               {"max_gram_length", int64_t{2}}, {"max_skip_count", INT64_MAX},
                               {"ngram_counts", Ints{0, 0}},    {"ngram_indexes", Ints{2}},
                               {"pool_int64s", Ints{7, -4}}};
  const Tensor x = Tensor::FromVector<int64_t>({4}, {7, -4, 7, -4});
  const auto y = RunOp({"TfIdfVectorizer", 9, {x}, settings});
  REQUIRE(y.ok());
  CHECK((*y)[0] == Tensor::FromVector<float>({3}, {0, 0, 3}));  // steps 1 (twice) and 3
}

void CheckRefused(const std::string& name, const graph::Attribute::Value& value,
                  const std::string& expected) {
  Attributes settings = Settings("TF", 1, 3, 0);
  settings.emplace_back(name, value);  // replaces
  const auto y =
      RunOp({"TfIdfVectorizer", 9, {Tensor::FromVector<int64_t>({2}, {0, 1})}, settings});
  INFO(name);
  REQUIRE_FALSE(y.ok());
  CHECK(y.status().kind() == ErrorKind::kModel);
  CHECK_THAT(y.status().message(), Catch::Contains(expected));
}

TEST_CASE("TfIdfVectorizer names what does not fit", "[kernels]") {
  CheckRefused("pool_strings", std::vector<std::string>{"a"}, "strings are not supported");
  CheckRefused("mode", std::string("tf"), "mode 'tf'");
  CheckRefused("min_gram_length", int64_t{0}, "0 to 3 tokens");
  CheckRefused("max_gram_length", int64_t{4}, "1 to 4 tokens");
  CheckRefused("max_gram_length", INT64_MAX, "tokens");
  CheckRefused("max_skip_count", int64_t{-1}, "-1 skips");
  CheckRefused("ngram_counts", Ints{0, 2, 35}, "do not cut");
  CheckRefused("ngram_counts", Ints{2, 0, 10}, "do not cut");
  CheckRefused("ngram_counts", Ints{0, 2, 9}, "do not cut");
  CheckRefused("ngram_counts", Ints{-1, 2, 10}, "do not cut");
  CheckRefused("pool_int64s", Ints(34, 0), "twice");
  CheckRefused("ngram_indexes", Ints{0, 1}, "ngram_indexes of 2");
  CheckRefused("ngram_indexes", Ints(kNgrams, -1), "from -1");
  CheckRefused("ngram_indexes", Ints(kNgrams, INT64_MAX), "9223372036854775807");
  CheckRefused("weights", std::vector<float>{1}, "weights of 1");
  for (const Tensor& x : {Tensor::Zeros(DType::kFloat, {3}), Tensor::Zeros(DType::kInt64, {}),
                          Tensor::Zeros(DType::kInt64, {1, 2, 3}), Tensor()})
    CHECK_FALSE(RunOp({"TfIdfVectorizer", 9, {x}, Settings("TF", 1, 3, 0)}).ok());
}

}  // namespace
}  // namespace roundel::engine
