// Models whose first axis is open but that were made with one sample inside: what the commands
// measure on data of many samples is what ONNX Runtime gives for each of them alone.

#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/random.h"
#include "tests/cmd/cli.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/vector_source.h"

namespace roundel {
namespace {

using support::Cli;

struct Kind {
  const char* name;
  const char* input;  // its type
  std::vector<Shape> samples;
  bool is_file;  // each a file of its own, as a whole
  const char* nodes;
  const char* recipe = "int8_per_channel";
};

const std::vector<Kind>& Kinds() {
  const std::vector<Shape> images(6, Shape{1, 2, 4, 4}), rows(6, Shape{1, 8});
  const std::vector<Shape> sequences = {{3, 1, 4}, {1, 1, 4}, {7, 1, 4}, {4, 1, 4}};
  static const std::vector<Kind> kinds = {
      {"sizes of one sample", "float32[N,2,4,4] x", images, false,
       "float32[3,2,1,1] w = random(1)\nint64[4] sizes = {1, 3, 8, 8}\n"
       "a = Conv(x, w)\ny = Resize<mode=\"linear\">(a, \"\", \"\", sizes)"},
      {"a shape of one sample", "float32[N,2,4,4] x", images, false,
       "float32[32,5] w = random(1)\nint64[2] s = {1, -1}\nf = Reshape(x, s)\ny = MatMul(f, w)"},
      {"attention over one sample", "float32[N,2,4,4] x", images, false,
       "float32[2,3] w = random(1)\nint64[3] s = {1, 2, -1}\nf = Reshape(x, s)\n"
       "q = Transpose<perm=[0,2,1]>(f)\na = MatMul(q, f)\np = Softmax<axis=-1>(a)\n"
       "v = MatMul(p, q)\ny = MatMul(v, w)"},
      {"a state of one sample", "float32[N,8] x", rows, false,
       "float32[1,12,2] w = random(1)\nfloat32[1,12,4] r = random(2)\nfloat32[1,1,4] h = {0.1, "
       "0.2, 0.3, 0.4}\n"
       "int64[3] s = {-1, 4, 2}\nf = Reshape(x, s)\nt = Transpose<perm=[1,0,2]>(f)\n"
       "g, y = GRU<hidden_size=4>(t, w, r, \"\", \"\", h)"},
      {"ranges of one call", "float32[N,8] x", rows, false,
       "float32[8,5] w = random(1)\ny = MatMul(x, w)", "int8_dynamic"},
      {"time in front", "float32[T,1,4] x", sequences, true,
       "float32[1,16,4] w = random(1)\nfloat32[1,16,4] r = random(2)\nfloat32[4,3] v = random(3)\n"
       "int64[3] s = {0, 1, 4}\nint64[] zero = {0}\nh = LSTM<hidden_size=4>(x, w, r)\n"
       "f = Reshape(h, s)\nc = CumSum(f, zero)\ny = MatMul(c, v)"}};
  return kinds;
}

// Samples of very different size, for what ranges are taken of.
std::vector<Tensor> MakeSamples(const Kind& kind) {
  Random random(3);
  std::vector<Tensor> samples;
  for (const Shape& shape : kind.samples)
    samples.push_back(
        support::RandomTensor(shape, random, 0.3 + static_cast<double>(samples.size())));
  return samples;
}

void WriteSamples(const Kind& kind, const std::vector<Tensor>& samples, const std::string& folder) {
  std::filesystem::create_directories(folder);
  if (kind.is_file) {
    for (size_t i = 0; i < samples.size(); ++i)
      REQUIRE(io::WriteNpy(samples[i], folder + "/" + std::to_string(i) + ".npy").ok());
    return;
  }
  io::NpyRows rows(folder + "/all.npy", std::ssize(samples));
  for (const Tensor& sample : samples) REQUIRE(rows.Append(sample).ok());
  REQUIRE(rows.Commit().ok());
}

std::vector<Tensor> Alone(const std::string& model, const std::vector<Tensor>& samples,
                          const std::string& scratch) {
  std::vector<e2e::OrtJob> jobs;
  for (const Tensor& sample : samples) jobs.push_back({model, true, {{"x", sample}}});
  const auto outputs = e2e::RunOrt(jobs, scratch);
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  std::vector<Tensor> values;
  for (const auto& output : *outputs) values.push_back(output.at(0));
  return values;
}

double Sqnr(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double power = 0, error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a[i].shape() == b[i].shape());
    for (int64_t k = 0; k < a[i].size(); ++k) {
      const double x = a[i].data<float>()[k], e = x - b[i].data<float>()[k];
      power += x * x;
      error += e * e;
    }
  }
  return 10 * std::log10(power / error);
}

}  // namespace

TEST_CASE(
    "models made with one sample inside are calibrated, evaluated and dumped one sample at a "
    "time") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Kind& kind : Kinds()) {
    INFO(kind.name);
    // Outputs stay mapped: each run has a folder of its own.
    const e2e::ScratchFolder scratch("samples"), more("samples_quantized");
    const support::TempFolder folder;
    const std::string model = support::WriteModel(folder, "m.onnx",
                                                  std::string("opset 13\ngraph g (") + kind.input +
                                                      ") => (float32 y) {\n" + kind.nodes + "\n}");
    const std::string quantized = folder / "q.onnx", data = folder / "data";
    const std::vector<Tensor> samples = MakeSamples(kind);
    WriteSamples(kind, samples, data);
    const auto made =
        Cli({"quantize", model, "--calib", data, "--recipe", kind.recipe, "-o", quantized});
    INFO(made.err);
    REQUIRE(made.code == 0);
    const std::vector<Tensor> exact = Alone(model, samples, scratch.path()),
                              rounded = Alone(quantized, samples, more.path());
    const double sqnr = Sqnr(exact, rounded);
    CHECK(sqnr > 20);
    for (const std::string batch : {"0", "4"}) {
      const auto said = Cli({"eval", model, quantized, "--data", data, "--batch", batch, "--json"});
      REQUIRE(said.code == 0);
      const auto json = nlohmann::json::parse(said.out);
      CHECK(json["samples"] == samples.size());
      const auto& told = json["outputs"][0]["sqnr_db"];  // null: no error at all
      CHECK((std::isfinite(sqnr) ? told.is_number() && std::fabs(told.get<double>() - sqnr) < 1
                                 : told.is_null()));
      CHECK(json["outputs"][0]["differing_shapes"] == 0);
      REQUIRE(Cli({"dump", model, "--data", data, "--batch", batch, "-o", folder / "out"}).code ==
              0);
      for (size_t i = 0; i < samples.size(); ++i) {
        const std::string own = folder / ("out/output.y." + std::to_string(i) + ".npy");
        const bool is_own = std::filesystem::exists(own);
        const auto dumped = io::ReadNpy(is_own ? own : folder / "out/output.y.npy");
        REQUIRE(dumped.ok());
        const float* from =
            dumped->data<float>() +
            (is_own ? 0 : std::ssize(exact[i].span<float>()) * static_cast<int64_t>(i));
        for (int64_t k = 0; k < exact[i].size(); ++k)
          CHECK(from[k] == Approx(exact[i].data<float>()[k]).margin(1e-4));
      }
    }
  }
}

}  // namespace roundel
