// calibrate with statistics files (kept in memory here), single samples, groups and several inputs.

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/io/statistics_json.h"
#include "passes/pass.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using quant::QParams;
using support::ParseModel;
using support::VectorSource;
using Texts = std::map<std::string, std::string>;

const char* const kModel = R"(opset 13
graph g (float32[N,2] x, float32[M,3] u) => (float32[N,3] y, float32[M,6] v) {
  float32[2,3] w = {1, -0.5, 0.25, 0.125, 2, -1}
  float32[3] b = {0.5, -1, 0}
  [fc] t = Gemm(x, w, b)
  [relu] y = Relu(t)
  v = Concat<axis=1>(u, u)
})";

// Batches of different sizes, the second input with rows of its own.
std::vector<Batch> Batches(uint64_t seed, const std::vector<int64_t>& sizes) {
  Random random(seed);
  std::vector<Batch> batches;
  for (const int64_t n : sizes) {
    Batch batch;
    batch.inputs = {support::RandomTensor({n, 2}, random),
                    support::RandomTensor({n + 1, 3}, random)};
    batch.size = n;
    for (int64_t i = 0; i < n; ++i) batch.sample_names.push_back(StrCat("s", i));
    batches.push_back(std::move(batch));
  }
  return batches;
}

struct Calibrated {
  Session session;
  report::PassReport report;
  Status status;
};

// Files that live in a map of JSON texts.
using Files = std::map<std::string, std::string>;

std::unique_ptr<Calibrated> Run(DataSource* data, Files* files, const Texts& texts,
                                const std::string& preprocessing = "p",
                                const std::string& model = kModel) {
  auto c = std::make_unique<Calibrated>();
  Session& session = c->session;
  session.model = ParseModel(model);
  session.target = target::LoadProfile("ort-cpu").value();
  session.target.anchors.clear();  // the Concat has no layer beside it
  session.grids = target::DefaultChoice(session.target);
  session.data = data;
  session.preprocessing_hash = preprocessing;
  session.data_hash = data ? "d" : "";
  session.report = &c->report;
  if (files)
    session.statistics_files = {
        .read =
            [files](const std::string& path) { return io::ParseStatistics((*files)[path], path); },
        .write =
            [files](const std::string& path, const quant::CalibrationStatistics& statistics) {
              (*files)[path] = io::StatisticsJson(statistics);
              return OkStatus();
            }};
  const PassInfo* info = FindPass("calibrate");
  recipe::Params params(info->params);
  for (const auto& [name, text] : texts) REQUIRE(params.SetFromText(info->params, name, text).ok());
  const auto outcome = info->run(session, params);
  if (!outcome.ok()) c->status = outcome.status();
  return c;
}

void CheckSameEncodings(const Calibrated& a, const Calibrated& b) {
  REQUIRE(a.status.ok());
  INFO(b.status.message());
  REQUIRE(b.status.ok());
  REQUIRE(a.session.encodings.size() == b.session.encodings.size());
  for (const auto& [value, e] : a.session.encodings) {
    INFO(value);
    CHECK(e.params == b.session.encodings.at(value).params);
  }
}

std::vector<std::string> Methods() { return FindPass("calibrate")->params[0].choices; }

// Attention in small: scores with a mask added; `more` may read the sum, too.
std::string MaskedScores(const std::string& more) {
  return R"(opset 13
graph g (float32[N,4] x, float32[N,4] mask) => (float32[N,4] y, float32[N,4] z) {
  int64[2] shape = {-1, 4}
  s = Add(x, mask)
  t = Reshape(s, shape)
  y = Softmax<axis=-1>(t)
)" + more +
         "}";
}

// 64 rows of scores, any but the first of which may be masked.
Batch MaskedBatch() {
  Random random(7);
  Batch batch;
  batch.size = 64;
  batch.inputs = {support::RandomTensor({64, 4}, random), Tensor::Zeros(DType::kFloat, {64, 4})};
  float* mask = batch.inputs[1].mutable_data<float>();
  for (int64_t i = 0; i < 256; ++i)
    mask[i] = i % 4 != 0 && random.Uniform() < 0.5 ? -10000.0f : 0.0f;
  for (int64_t i = 0; i < 64; ++i) batch.sample_names.push_back(StrCat("s", i));
  return batch;
}

std::vector<double> PlainSoftmax(const std::vector<double>& scores) {
  std::vector<double> shares;
  double sum = 0;
  for (const double x : scores) sum += shares.emplace_back(std::exp(x));
  for (double& x : shares) x /= sum;
  return shares;
}

}  // namespace

TEST_CASE("an attention mask does not stretch the range of the scores, with any method") {
  const std::string model = MaskedScores("z = Sigmoid(x)");
  const Batch batch = MaskedBatch();
  double low = 0, high = 0;
  for (int64_t i = 0; i < 256; ++i) {
    if (batch.inputs[1].data<float>()[i] != 0) continue;
    low = std::min<double>(low, batch.inputs[0].data<float>()[i]);
    high = std::max<double>(high, batch.inputs[0].data<float>()[i]);
  }
  VectorSource data({batch});
  Files files;
  REQUIRE(Run(&data, &files, {{"stats_out", "f"}}, "p", model)->status.ok());
  for (const std::string& method : Methods()) {
    INFO(method);
    const auto c = Run(&data, nullptr, {{"method", method}}, "p", model);
    REQUIRE(c->status.ok());
    // exp(-11.1) of the least score is what a mask may leave.
    CHECK(c->session.encodings.at("s").params[0].scale * 255 < high - low + 11.2);
    CHECK(c->session.encodings.at("s").params[0].scale * 255 > 11);
    CHECK(c->session.encodings.at("t").params == c->session.encodings.at("s").params);
    const Texts from_file = {{"method", method}, {"stats_in", "f"}};
    CheckSameEncodings(*c, *Run(nullptr, &files, from_file, "p", model));
  }
}

TEST_CASE("on the grid of masked scores a Softmax is what it is in float") {
  const Batch batch = MaskedBatch();
  VectorSource data({batch});
  const auto c = Run(&data, nullptr, {}, "p", MaskedScores("z = Sigmoid(x)"));
  REQUIRE(c->status.ok());
  const QParams grid = c->session.encodings.at("s").params[0];
  for (int64_t row = 0; row < 64; ++row) {
    std::vector<double> exact, rounded;
    for (int64_t i = 4 * row; i < 4 * row + 4; ++i) {
      const float score = batch.inputs[0].data<float>()[i] + batch.inputs[1].data<float>()[i];
      exact.push_back(score);
      rounded.push_back(quant::Dequantize(quant::Quantize(score, grid, 0, 255), grid));
    }
    const std::vector<double> expected = PlainSoftmax(exact), found = PlainSoftmax(rounded);
    // Half a step of error, 0.03, in each score, and exp(-11) where there was nothing.
    for (size_t i = 0; i < 4; ++i) CHECK(found[i] == Approx(expected[i]).margin(0.02));
  }
}

TEST_CASE("what others than a Softmax read keeps its whole range") {
  for (const std::string more : {"z = Sigmoid(s)", "z = Sigmoid(t)"}) {
    VectorSource data({MaskedBatch()});
    const auto c = Run(&data, nullptr, {}, "p", MaskedScores(more));
    REQUIRE(c->status.ok());
    CHECK(c->session.encodings.at("s").params[0].scale * 255 > 9998);
  }
}

TEST_CASE("every method makes the same of statistics as of the data") {
  VectorSource data(Batches(1, {3, 1, 4}));
  Files files;
  const auto first = Run(&data, &files, {{"stats_out", "f"}});
  INFO(first->status.message());
  REQUIRE(first->status.ok());
  for (const std::string& method : Methods()) {
    INFO(method);
    const auto from_data = Run(&data, nullptr, {{"method", method}});
    const auto from_file = Run(nullptr, &files, {{"method", method}, {"stats_in", "f"}});
    CheckSameEncodings(*from_data, *from_file);
    CHECK(from_file->session.data_hash == "d");
    REQUIRE(from_file->session.input_means->contains("x"));
    CHECK(from_file->session.input_means->at("x").mean ==
          from_data->session.input_means->at("x").mean);
  }
}

TEST_CASE("parts of the data merge to what one run over all of it gives, in any order") {
  const std::vector<Batch> all = Batches(2, {2, 3, 1, 5});
  VectorSource whole(all), one({all[0], all[1]}), two({all[2], all[3]});
  Files files;
  REQUIRE(Run(&one, &files, {{"stats_out", "one"}})->status.ok());
  REQUIRE(Run(&two, &files, {{"stats_out", "two"}})->status.ok());
  for (const std::string& method : Methods()) {
    INFO(method);
    const auto expected = Run(&whole, nullptr, {{"method", method}});
    CheckSameEncodings(*expected,
                       *Run(nullptr, &files, {{"method", method}, {"stats_in", "one,two"}}));
    if (method != "moving_average")  // which has an order
      CheckSameEncodings(*expected,
                         *Run(nullptr, &files, {{"method", method}, {"stats_in", "two,one"}}));
  }
  // Merged files may be kept, too.
  REQUIRE(Run(nullptr, &files, {{"stats_in", "one,two"}, {"stats_out", "both"}})->status.ok());
  CheckSameEncodings(*Run(&whole, nullptr, {{"method", "mse"}}),
                     *Run(nullptr, &files, {{"method", "mse"}, {"stats_in", "both"}}));
}

TEST_CASE("results depend neither on threads nor on the size of batches") {
  const std::vector<Batch> all = Batches(3, {1, 1, 1, 1, 1, 1});
  const int threads = Threads();
  for (const std::string& method : Methods()) {
    INFO(method);
    SetThreads(1);
    VectorSource data(all);
    const auto expected = Run(&data, nullptr, {{"method", method}});
    SetThreads(3);
    CheckSameEncodings(*expected, *Run(&data, nullptr, {{"method", method}}));
  }
  SetThreads(threads);
}

TEST_CASE("moving_average follows the samples in the order of the data, whatever the batches") {
  // Samples of x: maxima 1, 2, 8, 4; one weight of 0.5 makes 1, 1.5, 4.75, 4.375.
  const auto batch = [](const std::vector<float>& rows) {
    Batch b;
    b.size = std::ssize(rows) / 2;
    b.inputs = {Tensor::FromVector<float>({b.size, 2}, rows)};
    for (int64_t i = 0; i < b.size; ++i) b.sample_names.push_back("s");
    return b;
  };
  const char* model = R"(opset 13
graph g (float32[N,2] x) => (float32[N,2] y) {
  float32[2,2] w = ones
  y = MatMul(x, w) })";
  VectorSource single({batch({1, -1}), batch({0, 2}), batch({8, -3}), batch({4, 0})});
  VectorSource pairs({batch({1, -1, 0, 2}), batch({8, -3, 4, 0})});
  VectorSource ragged({batch({1, -1}), batch({0, 2, 8, -3, 4, 0})});
  for (VectorSource* data : {&single, &pairs, &ragged}) {
    const auto c =
        Run(data, nullptr, {{"method", "moving_average"}, {"averaging", "0.5"}}, "p", model);
    REQUIRE(c->status.ok());
    // Minima -1, 0, -3, 0: -1, -0.5, -1.75, -0.875.
    CHECK(c->session.encodings.at("x").params[0] ==
          quant::ParamsFromRange(-0.875, 4.375, {.bits = 8}));
    const auto mean = Run(data, nullptr, {{"method", "mean_min_max"}}, "p", model);
    CHECK(mean->session.encodings.at("x").params[0] ==
          quant::ParamsFromRange(-1, 3.75, {.bits = 8}));
  }
}

TEST_CASE("statistics of something else are refused, unless told otherwise") {
  VectorSource data(Batches(4, {2}));
  Files files;
  REQUIRE(Run(&data, &files, {{"stats_out", "f"}})->status.ok());
  const auto error = [&](const Texts& texts, const std::string& preprocessing,
                         const std::string& model = kModel) {
    const auto c = Run(nullptr, &files, texts, preprocessing, model);
    CHECK(c->status.kind() == ErrorKind::kData);
    CHECK(c->session.encodings.empty());
    return c->status.message();
  };
  std::string other = kModel;
  other.replace(other.find("0.125"), 5, "0.126");
  CHECK(
      error({{"stats_in", "f"}}, "p", other)
          .starts_with(
              "'f': these statistics are of another model, or of this model after other passes ("));
  CHECK(error({{"stats_in", "f"}}, "q") ==
        "'f': these statistics were made with another preprocessing than the data section "
        "describes (stats_mismatch=accept uses them anyway)");
  CHECK(Run(nullptr, &files, {{"stats_in", "f"}, {"stats_mismatch", "accept"}}, "q", other)
            ->status.ok());
  // Without a data section nothing is known to differ.
  CHECK(Run(nullptr, &files, {{"stats_in", "f"}}, "")->status.ok());
  // Another model that is let in must still have the values.
  CHECK(error({{"stats_in", "f"}, {"stats_mismatch", "accept"}}, "p",
              "opset 13\ngraph g (float32[N,2] a) => (float32[N,2] y) { y = Add(a, a) }") ==
        "the statistics have no value 'a': they were made for another target or other excludes");
  VectorSource more(Batches(5, {2}));
  REQUIRE(Run(&more, &files, {{"stats_out", "q"}}, "q")->status.ok());
  CHECK(error({{"stats_in", "f,q"}}, "") ==
        "'q' and 'f' were made with different preprocessing (stats_mismatch=accept uses them "
        "anyway)");
  files["bad"] = "{";
  CHECK(error({{"stats_in", "f,bad"}}, "p") == "'bad' is not JSON");
  std::string& edited = files["edited"] = files["f"];
  for (const char* key : {"\"histogram\"", "\"sample_min\""})
    for (size_t at = 0; (at = edited.find(key)) != std::string::npos;)
      edited.replace(at + 1, 3, "no_");
  CHECK(error({{"stats_in", "edited"}, {"method", "mse"}}, "p")
            .find("have no histogram, which this "
                  "method needs") != std::string::npos);
  CHECK(Run(nullptr, nullptr, {{"stats_in", "f"}})->status.kind() == ErrorKind::kUsage);
}

TEST_CASE("auto tells which method it chose, and bad samples are named for every method") {
  VectorSource data(Batches(6, {40, 40}));
  const auto c = Run(&data, nullptr, {{"method", "auto"}, {"weights_method", "mse"}});
  REQUIRE(c->status.ok());
  for (const report::Record& record : c->report.records)
    if (record.subject == "x") CHECK(record.action.starts_with("chose "));
  CHECK(c->session.encodings.at("w").params.size() == 3);
  std::vector<Batch> bad = Batches(7, {3});
  bad[0].inputs[0].mutable_data<float>()[2] = NAN;
  VectorSource source(bad);
  for (const std::string& method : Methods())
    CHECK(Run(&source, nullptr, {{"method", method}})->status.message() ==
          "sample 's1': value 'x': it contains NaN");
}

}  // namespace roundel::passes
