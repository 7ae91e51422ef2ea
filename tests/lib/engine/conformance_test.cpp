// The operator suite of the ONNX project (Debian package libonnx-testdata): every folder holds a
// model and data sets with expected outputs. conformance_exceptions.txt lists the folders that do
// not pass, with the reason; a listed folder that passes fails the test, so that the list stays
// honest.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"

namespace roundel::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kSuite = "/usr/share/libonnx-testdata/data";
// The tolerances that the suite states for itself.
constexpr double kRelative = 1e-3, kAbsolute = 1e-7;

// folder ("node/test_abs") -> reason
std::map<std::string, std::string> ReadExceptions() {
  const auto text = ReadTextFile(ROUNDEL_SOURCE_DIR "/tests/lib/engine/conformance_exceptions.txt");
  REQUIRE(text.ok());
  std::map<std::string, std::string> exceptions;
  std::string reason;
  for (const std::string& raw : Split(*text, '\n')) {
    const std::string line(Trim(raw));
    if (line.empty() || line[0] == '#') continue;
    if (line.back() == ':')
      reason = line.substr(0, line.size() - 1);
    else
      exceptions[line] = reason;
  }
  return exceptions;
}

bool Close(double actual, double expected) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::fabs(actual - expected) <= kAbsolute + kRelative * std::fabs(expected);
}

// The suite's generator cuts float32 off where the specification rounds to nearest: its bfloat16
// values are up to one unit in the last place closer to zero.
bool CloseBfloat16(double actual, double expected) {
  if (Close(actual, expected)) return true;
  if (expected == 0 || !std::isfinite(expected)) return false;
  // 8 bits of precision: the unit is 2^-7 of the power of two below.
  return std::fabs(actual - expected) <= std::ldexp(1.0, std::ilogb(expected) - 7);
}

// "" if the tensors agree.
std::string Difference(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.shape() != expected.shape())
    return StrCat("is ", DTypeName(actual.dtype()), ShapeString(actual.shape()), " instead of ",
                  DTypeName(expected.dtype()), ShapeString(expected.shape()));
  if (!IsFloating(expected.dtype())) return actual == expected ? "" : "has other values";
  const Tensor a = actual.ToFloat(), e = expected.ToFloat();
  const auto close = expected.dtype() == DType::kBfloat16 ? &CloseBfloat16 : &Close;
  for (int64_t i = 0; i < e.size(); ++i)
    if (!close(a.data<float>()[i], e.data<float>()[i]))
      return StrCat("at ", i, ": ", a.data<float>()[i], " instead of ", e.data<float>()[i]);
  return "";
}

std::string DatumDifference(const Datum& actual, const Datum& expected) {
  if (actual.is_tensor() != expected.is_tensor() || actual.is_sequence() != expected.is_sequence())
    return "is of another kind";
  if (expected.is_tensor()) return Difference(actual.tensor, expected.tensor);
  if (expected.is_nothing()) return "";
  if (actual.items->size() != expected.items->size())
    return StrCat("has ", actual.items->size(), " items instead of ", expected.items->size());
  for (size_t i = 0; i < expected.items->size(); ++i) {
    const std::string difference = Difference((*actual.items)[i], (*expected.items)[i]);
    if (!difference.empty()) return StrCat("item ", i, " ", difference);
  }
  return "";
}

// input_0.pb, input_1.pb, ... (or output_*) of a data set.
Result<std::vector<Datum>> ReadData(const fs::path& folder, const std::string& prefix,
                                    const std::vector<graph::ValueInfo>& infos) {
  std::vector<Datum> data;
  for (size_t i = 0;; ++i) {
    const fs::path file = folder / StrCat(prefix, "_", i, ".pb");
    if (!fs::exists(file)) return data;
    const graph::ValueInfo info = i < infos.size() ? infos[i] : graph::ValueInfo();
    ASSIGN_OR_RETURN(Datum datum, io::ReadDatum(file.string(), info));
    data.push_back(std::move(datum));
  }
}

// The suite's generator knew no bfloat16 and stored its bits as uint16.
void RestoreBfloat16(const std::vector<graph::ValueInfo>& infos, std::vector<Datum>& data) {
  for (size_t i = 0; i < std::min(infos.size(), data.size()); ++i) {
    Tensor& tensor = data[i].tensor;
    if (infos[i].dtype != DType::kBfloat16 || tensor.dtype() != DType::kUint16) continue;
    Tensor restored = Tensor::Empty(DType::kBfloat16, tensor.shape());
    std::memcpy(restored.mutable_raw(), tensor.raw(), static_cast<size_t>(tensor.byte_size()));
    tensor = restored;
  }
}

Status RunDataSet(const graph::Model& model, Executor& executor, const fs::path& folder) {
  ASSIGN_OR_RETURN(std::vector<Datum> inputs, ReadData(folder, "input", model.graph->inputs));
  ASSIGN_OR_RETURN(std::vector<Datum> expected, ReadData(folder, "output", model.graph->outputs));
  RestoreBfloat16(model.graph->inputs, inputs);
  RestoreBfloat16(model.graph->outputs, expected);
  ASSIGN_OR_RETURN(const std::vector<Datum> actual, executor.RunAny(inputs));
  if (actual.size() != expected.size())
    return ModelError(StrCat(actual.size(), " outputs instead of ", expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string difference = DatumDifference(actual[i], expected[i]);
    if (!difference.empty()) return ModelError(StrCat("output ", i, " ", difference));
  }
  return OkStatus();
}

Status RunFolder(const fs::path& folder, bool fast_kernels) {
  ASSIGN_OR_RETURN(graph::Model model, io::ReadOnnx((folder / "model.onnx").string()));
  // The data of inputs that only lend their type has another shape than the suite's models declare.
  for (graph::ValueInfo& input : model.graph->inputs) input.shape.reset();
  ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                   Executor::Create(model, {.fast_kernels = fast_kernels}));
  int sets = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_directory()) continue;
    RETURN_IF_ERROR(RunDataSet(model, *executor, entry.path()));
    ++sets;
  }
  return sets > 0 ? OkStatus() : DataError("no data set");
}

void RunGroup(const std::string& group) {
  if (support::SkippedWithoutOperatorSuite()) return;
  const auto exceptions = ReadExceptions();
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(kSuite / group))
    if (fs::exists(entry.path() / "model.onnx")) names.insert(entry.path().filename().string());
  std::vector<std::string> failures, listed_but_passing;
  int passed = 0, excepted = 0;
  for (const std::string& name : names) {
    const std::string id = group + "/" + name;
    Status status = RunFolder(kSuite / group / name, false);
    if (status.ok()) status = std::move(RunFolder(kSuite / group / name, true)).At("fast kernels");
    const bool listed = exceptions.contains(id);
    if (status.ok() && listed) listed_but_passing.push_back(id);
    if (!status.ok() && !listed) failures.push_back(StrCat(id, ": ", status.message()));
    passed += status.ok();
    excepted += listed;
  }
  for (const auto& [id, reason] : exceptions) {
    if (!id.starts_with(group + "/")) continue;
    INFO(id << " is listed but not in the suite");
    CHECK(names.contains(id.substr(group.size() + 1)));
    CHECK_FALSE(reason.empty());
  }
  INFO("failing: " << Join(failures, "\n         "));
  CHECK(failures.empty());
  INFO("listed as exceptions, but passing: " << Join(listed_but_passing, "\n"));
  CHECK(listed_but_passing.empty());
  WARN(group << ": " << passed << " of " << names.size() << " folders pass, " << excepted
             << " are excepted");
}

TEST_CASE("operator suite: node", "[conformance]") { RunGroup("node"); }
TEST_CASE("operator suite: simple", "[conformance]") { RunGroup("simple"); }
TEST_CASE("operator suite: pytorch-converted", "[conformance]") { RunGroup("pytorch-converted"); }
TEST_CASE("operator suite: pytorch-operator", "[conformance]") { RunGroup("pytorch-operator"); }

}  // namespace
}  // namespace roundel::engine
