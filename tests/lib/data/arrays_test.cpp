// .npy and .npz data.

#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/data/convert.h"
#include "lib/io/npy.h"
#include "tests/lib/data/data_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"
#include "tests/support/zip.h"

namespace roundel::data {
namespace {

using support::TempFolder;
using Strings = std::vector<std::string>;
using Labels = std::vector<int64_t>;

template <typename T>
Tensor Counting(const Shape& shape, T first = T{0}) {
  std::vector<T> values(static_cast<size_t>(NumElements(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(first + static_cast<T>(i));
  return Tensor::FromVector<T>(shape, values);
}

std::string Save(const TempFolder& folder, const std::string& name, const Tensor& tensor) {
  const std::string path = folder / name;
  REQUIRE(io::WriteNpy(tensor, path).ok());
  return path;
}

// A stored .npz of what WriteNpy writes.
std::string SaveNpz(const TempFolder& folder, const std::string& name,
                    const std::vector<std::pair<std::string, Tensor>>& arrays) {
  std::vector<support::ZipMember> members;
  for (const auto& [key, tensor] : arrays) {
    const auto text = ReadTextFile(Save(folder, "member.tmp", tensor));
    REQUIRE(text.ok());
    members.push_back({key + ".npy", *text});
  }
  std::filesystem::remove(folder / "member.tmp");
  return folder.Write(name, support::Zip(members));
}

std::vector<Batch> LoadAll(const std::vector<Setting>& settings,
                           const std::vector<InputInfo>& inputs) {
  auto batches = Load(settings, inputs);
  INFO(batches.status().message());
  REQUIRE(batches.ok());
  return std::move(batches).value();
}

InputInfo Input(const Shape& shape, DType type = DType::kFloat) { return {"x", type, shape}; }

}  // namespace

TEST_CASE("arrays: rows become batches") {
  const TempFolder folder;
  const std::string path = Save(folder, "a.npy", Counting<float>({5, 3}));
  const auto batches = LoadAll({{"path", path}, {"batch", "2"}}, {Input({-1, 3})});
  REQUIRE(batches.size() == 3);
  CHECK(batches[0].inputs[0] == Counting<float>({2, 3}));
  CHECK(batches[1].inputs[0] == Counting<float>({2, 3}, 6));
  CHECK(batches[2].inputs[0] == Counting<float>({1, 3}, 12));
  CHECK(Names(batches) == Strings{"a.npy[0]", "a.npy[1]", "a.npy[2]", "a.npy[3]", "a.npy[4]"});
  const auto fixed = LoadAll({{"path", path}}, {Input({2, 3})});
  REQUIRE(fixed.size() == 2);
  CHECK(fixed[1].inputs[0] == Counting<float>({2, 3}, 6));
  DatasetFacts facts;
  auto some = Open({{"path", path}, {"count", "2"}, {"seed", "4"}}, {Input({-1, 3})}, &facts);
  REQUIRE(some.ok());
  const auto chosen = Drain(some->get());
  REQUIRE(chosen.ok());
  CHECK(Names(*chosen) == facts.samples);
  REQUIRE(chosen->size() == 1);
  const int64_t row = facts.samples[0][6] - '0';
  CHECK(chosen->front().inputs[0].data<float>()[0] == static_cast<float>(3 * row));
}

TEST_CASE("arrays: tokens stay whole numbers, of any rank") {
  const TempFolder folder;
  const std::string path = Save(folder, "ids.npy", Counting<int64_t>({4, 6}, 1000));
  CHECK(LoadAll({{"path", path}}, {Input({-1, -1}, DType::kInt64)})[0].inputs[0] ==
        Counting<int64_t>({4, 6}, 1000));
  CHECK(LoadAll({{"path", path}}, {Input({-1, -1}, DType::kInt32)})[0].inputs[0] ==
        Counting<int32_t>({4, 6}, 1000));
  CHECK(LoadAll({{"path", path}}, {Input({}, DType::kInt64)})[0].inputs[0].shape() == Shape{4, 6});
  CHECK(LoadAll({{"path", path}}, {{"x", DType::kUndefined, {}}})[0].inputs[0].dtype() ==
        DType::kInt64);
  // One sample without the batch axis.
  const auto one = LoadAll({{"path", path}}, {Input({1, 4, 6}, DType::kInt64)});
  REQUIRE(one.size() == 1);
  CHECK(one[0].inputs[0] == Counting<int64_t>({1, 4, 6}, 1000));
  CHECK(one[0].sample_names == Strings{"ids.npy"});
}

TEST_CASE("arrays: 8-bit images in either layout take the image settings") {
  const TempFolder folder;
  // Sample n, channel c, pixel p holds 10 n + 50 c + p.
  std::vector<uint8_t> nhwc, nchw;
  std::vector<float> wanted;
  for (int n = 0; n < 2; ++n) {
    for (int p = 0; p < 20; ++p)
      for (int c = 0; c < 3; ++c) nhwc.push_back(static_cast<uint8_t>(10 * n + 50 * c + p));
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < 20; ++p) {
        nchw.push_back(static_cast<uint8_t>(10 * n + 50 * c + p));
        wanted.push_back(static_cast<float>((10 * n + 50 * c + p) * 0.5 - (c + 1)));
      }
  }
  const std::string last =
      Save(folder, "last.npy", Tensor::FromVector<uint8_t>({2, 4, 5, 3}, nhwc));
  const std::string first =
      Save(folder, "first.npy", Tensor::FromVector<uint8_t>({2, 3, 4, 5}, nchw));
  const Tensor planes = Tensor::FromVector<float>({2, 3, 4, 5}, wanted);
  const std::vector<Setting> pixels = {{"scale", "0.5"}, {"mean", "1,2,3"}};
  for (const std::string& path : {last, first}) {
    auto settings = pixels;
    settings.emplace_back("path", path);
    CHECK(LoadAll(settings, {Input({-1, 3, 4, 5})})[0].inputs[0] == planes);
    CHECK(LoadAll(settings, {Input({-1, 3, -1, -1})})[0].inputs[0] == planes);
    const Tensor interleaved = LoadAll(settings, {Input({-1, 4, 5, 3})})[0].inputs[0];
    REQUIRE(interleaved.shape() == Shape{2, 4, 5, 3});
    for (int n = 0; n < 2; ++n)
      for (int c = 0; c < 3; ++c)
        for (int p = 0; p < 20; ++p)
          CHECK(interleaved.data<float>()[(n * 20 + p) * 3 + c] == wanted[(n * 3 + c) * 20 + p]);
    settings.emplace_back("channel_order", "bgr");
    const Tensor bgr = LoadAll(settings, {Input({-1, 3, 4, 5})})[0].inputs[0];
    CHECK(bgr.data<float>()[0] == 100 * 0.5f - 1);
    CHECK(bgr.data<float>()[40] == 0 * 0.5f - 3);
  }
  // Raw values by default, also for a model of 8-bit inputs.
  CHECK(LoadAll({{"path", last}}, {Input({-1, 3, 4, 5}, DType::kUint8)})[0].inputs[0] ==
        Tensor::FromVector<uint8_t>({2, 3, 4, 5}, nchw));
  CheckFails({{"path", last}, {"array_layout", "nchw"}}, {Input({-1, 3, 4, 5})}, ErrorKind::kData,
             "does not fit");
  CheckFails({{"path", first}, {"array_layout", "nhwc"}}, {Input({-1, 3, -1, -1})},
             ErrorKind::kData, "does not fit");
}

TEST_CASE("arrays: float images are laid out, but not normalized") {
  const TempFolder folder;
  const std::string path = Save(folder, "f.npy", Counting<float>({1, 2, 2, 3}));
  CHECK(LoadAll({{"path", path}}, {Input({1, 3, 2, 2})})[0].inputs[0] ==
        Tensor::FromVector<float>({1, 3, 2, 2}, {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
  const std::string planes = Save(folder, "p.npy", Counting<float>({1, 3, 2, 2}));
  CHECK(LoadAll({{"path", planes}}, {Input({1, 2, 2, 3})})[0].inputs[0] ==
        Tensor::FromVector<float>({1, 2, 2, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}));
  CheckFails({{"path", path}, {"preset", "imagenet"}}, {Input({1, 3, 2, 2})}, ErrorKind::kUsage,
             "f.npy holds float32; preset, scale, mean, std and channel_order apply to uint8");
}

TEST_CASE("arrays: grayscale images without a channel axis, and features") {
  const TempFolder folder;
  const std::string gray = Save(folder, "g.npy", Counting<uint8_t>({3, 2, 2}));
  const auto batch = LoadAll({{"path", gray}, {"preset", "zero_one"}}, {Input({-1, 1, 2, 2})});
  REQUIRE(batch.size() == 1);
  CHECK(batch[0].inputs[0].shape() == Shape{3, 1, 2, 2});
  CHECK(batch[0].inputs[0].data<float>()[11] == Approx(11 / 255.0));
  const std::string features = Save(folder, "v.npy", Counting<uint8_t>({2, 5}));
  CHECK(LoadAll({{"path", features}, {"mean", "1"}}, {Input({-1, 5})})[0].inputs[0] ==
        Counting<float>({2, 5}, -1));
  CheckFails({{"path", features}, {"preset", "imagenet"}}, {Input({-1, 5})}, ErrorKind::kUsage,
             "'mean' has 3 values");
}

TEST_CASE("arrays: an open axis may be of size 0, such as that of a cache at first") {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "d");
  SaveNpz(folder, "d/0.npz",
          {{"x", Counting<float>({1, 2, 4})}, {"past", Counting<float>({1, 0, 4})}});
  SaveNpz(folder, "d/1.npz",
          {{"x", Counting<float>({1, 1, 4})}, {"past", Counting<float>({1, 3, 4})}});
  const std::vector<InputInfo> inputs = {{"x", DType::kFloat, {-1, -1, 4}},
                                         {"past", DType::kFloat, {-1, -1, 4}}};
  const auto batches = Load({{"path", folder / "d"}}, inputs);
  INFO((batches.ok() ? "" : batches.status().message()));
  REQUIRE(batches.ok());
  REQUIRE(batches->size() == 2);
  CHECK((*batches)[0].inputs[1] == Tensor::Zeros(DType::kFloat, {1, 0, 4}));
  CHECK((*batches)[1].inputs[1] == Counting<float>({1, 3, 4}));
}

TEST_CASE("arrays: samples that a model may mix are fed one at a time, unless the user insists") {
  const TempFolder folder;
  const std::string path = Save(folder, "a.npy", Counting<float>({6, 3}));
  const SampleRule mixes = {.mixing = "node 'r' (Reshape)"};
  const auto sizes = [&](const std::vector<Setting>& settings, const SampleRule& rule,
                         DatasetFacts* facts) {
    auto source = OpenDataset(MakeParams(settings), {Input({-1, 3})}, facts, rule);
    INFO((source.ok() ? "" : source.status().message()));
    REQUIRE(source.ok());
    std::vector<int64_t> found;
    const auto batches = Drain(source->get());
    REQUIRE(batches.ok());
    for (const Batch& batch : *batches) {
      found.push_back(batch.size);
      CHECK(batch.inputs[0].dim(1) == 3);
    }
    return found;
  };
  using Counts = std::vector<int64_t>;
  DatasetFacts facts, alone;
  CHECK(sizes({{"path", path}}, {}, &facts) == Counts{6});
  CHECK(facts.feeding.empty());
  CHECK(sizes({{"path", path}}, mixes, &alone) == Counts{1, 1, 1, 1, 1, 1});
  CHECK(alone.feeding == "one at a time, since node 'r' (Reshape) may mix the samples of a batch");
  CHECK(alone.description.find(alone.feeding) != std::string::npos);
  CHECK(alone.hash == facts.hash);  // the same samples in the same order
  CHECK(sizes({{"path", path}, {"batch", "4"}}, mixes, &facts) == Counts{1, 1, 1, 1, 1, 1});
  CHECK(sizes({{"path", path}, {"batch", "4"}, {"sample", "stack"}}, mixes, &facts) ==
        Counts{4, 2});
  CHECK(facts.feeding.starts_with("stacked although node 'r'"));
  CHECK(facts.hash != alone.hash);
  // No message if nothing changes.
  CHECK(sizes({{"path", path}, {"batch", "1"}}, mixes, &facts).size() == 6);
  CHECK(facts.feeding.empty());
}

TEST_CASE("arrays: a file is one sample where the first axis is no batch") {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "d");
  Save(folder, "d/0.npy", Counting<float>({5, 1, 3}));
  Save(folder, "d/1.npy", Counting<float>({2, 1, 3}));
  const std::vector<InputInfo> inputs = {Input({-1, 1, 3})};
  const SampleRule walks = {.mixing = "node 'l' (LSTM)", .first_axis_is_sequence = true};
  DatasetFacts facts;
  for (const bool asked : {false, true}) {
    std::vector<Setting> settings = {{"path", folder / "d"}};
    if (asked) settings.emplace_back("sample", "file");
    auto source = OpenDataset(MakeParams(settings), inputs, &facts, asked ? SampleRule{} : walks);
    REQUIRE(source.ok());
    CHECK((*source)->size() == 2);
    CHECK(facts.feeding.starts_with("a file each"));
    const auto batches = Drain(source->get());
    REQUIRE(batches.ok());
    REQUIRE(batches->size() == 2);
    CHECK((*batches)[0].inputs[0] == Counting<float>({5, 1, 3}));
    CHECK((*batches)[0].size == 1);
    CHECK(Names(*batches) == std::vector<std::string>{"0.npy", "1.npy"});
  }
  auto rows =
      OpenDataset(MakeParams({{"path", folder / "d"}, {"sample", "row"}}), inputs, &facts, walks);
  REQUIRE(rows.ok());
  CHECK((*rows)->size() == 7);
  // Samples along an axis of their own, in front.
  const std::string many = Save(folder, "many.npy", Counting<float>({4, 5, 1, 3}));
  auto own = OpenDataset(MakeParams({{"path", many}}), inputs, &facts, walks);
  REQUIRE(own.ok());
  CHECK((*own)->size() == 4);
  const auto batches = Drain(own->get());
  REQUIRE(batches.ok());
  REQUIRE(batches->size() == 4);
  CHECK((*batches)[3].inputs[0].shape() == Shape{5, 1, 3});
  CHECK((*batches)[3].inputs[0].data<float>()[0] == 45);
}

TEST_CASE("arrays: a state whose first axis counts layers makes a file one sample") {
  const TempFolder folder;
  const std::string path = SaveNpz(
      folder, "a.npz", {{"x", Counting<float>({1, 4, 3})}, {"state", Counting<float>({2, 1, 8})}});
  const auto batches = Load(
      {{"path", path}}, {{"x", DType::kFloat, {1, -1, 3}}, {"state", DType::kFloat, {2, 1, 8}}});
  INFO((batches.ok() ? "" : batches.status().message()));
  REQUIRE(batches.ok());
  REQUIRE(batches->size() == 1);
  CHECK((*batches)[0].inputs[1] == Counting<float>({2, 1, 8}));
  CHECK((*batches)[0].size == 1);
}

TEST_CASE("arrays: faults of shape, type and value") {
  const TempFolder folder;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto data = ErrorKind::kData, usage = ErrorKind::kUsage;
  const std::string a = Save(folder, "a.npy", Counting<float>({2, 3}));
  CheckFails({{"path", a}}, {Input({-1, 4})}, data,
             "a.npy: array of shape [2, 3] does not fit model input 'x' of shape [-1, 4]");
  CheckFails({{"path", a}}, {Input({-1, 3}, DType::kInt64)}, data,
             "array of float32 cannot feed model input 'x' of int64");
  CheckFails({{"path", a}}, {Input({-1, 3}), {"y", DType::kFloat, {-1}}}, data,
             "the model has 2; use .npz");
  CheckFails({{"path", a}, {"resize", "32"}}, {Input({-1, 3})}, usage, "image files");
  CheckFails({{"path", a}, {"names", "list.txt"}}, {Input({-1, 3})}, usage, "needs a folder");
  CheckFails({{"path", a}, {"type", "uint8"}}, {Input({-1, 3})}, usage, "leave it at auto");
  CheckFails({{"path", Save(folder, "e.npy", Counting<float>({0, 3}))}}, {Input({-1, 3})}, data,
             "holds no sample");
  CheckFails({{"path", Save(folder, "f.npy", Counting<float>({2, 0}))}}, {Input({-1, 3})}, data,
             "f.npy: array of shape [2, 0] does not fit model input 'x' of shape [-1, 3]");
  CheckFails({{"path", folder.Write("b.npy", "junk")}}, {Input({-1, 3})}, data, "not a .npy");
  CheckFails({{"path", folder.Write("b.npz", "junk")}}, {Input({-1, 3})}, data, "not a .npz");

  const std::string bad =
      Save(folder, "nan.npy", Tensor::FromVector<float>({3, 2}, {0, 1, 2, 3, 4, nan}));
  auto source = Open({{"path", bad}, {"batch", "1"}}, {Input({-1, 2})});
  REQUIRE(source.ok());
  CHECK((*source)->Next().ok());
  CHECK((*source)->Next().ok());
  const auto failed = (*source)->Next();
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.status().kind() == data);
  CHECK(failed.status().message() == "nan.npy[2]: element 1 is NaN");
  CheckFails({{"path", Save(folder, "big.npy", Tensor::FromVector<int64_t>({1, 1}, {1 << 20}))}},
             {Input({-1, 1}, DType::kInt16)}, data,
             "element 0 is 1048576, which is not an exact int16");
}

TEST_CASE("arrays: labels beside them, or under a key") {
  const TempFolder folder;
  const std::string x = Save(folder, "x.npy", Counting<float>({4, 1}));
  const std::string y = Save(folder, "y.npy", Counting<uint8_t>({4, 1}, 5));
  const std::vector<InputInfo> input = {Input({-1, 1})};
  CHECK(LabelsOf(LoadAll({{"path", x}, {"labels", y}, {"batch", "3"}}, input)) ==
        Labels{5, 6, 7, 8});
  CHECK(LabelsOf(LoadAll({{"path", x}, {"labels", folder.Write("y.txt", "3\n1\n2\n0\n")}},
                         input)) == Labels{3, 1, 2, 0});
  const std::string z =
      SaveNpz(folder, "z.npz",
              {{"images", Counting<float>({2, 1})}, {"classes", Counting<int64_t>({2}, 1)}});
  CHECK(LabelsOf(LoadAll({{"path", z}, {"input", "x=images"}, {"labels", "classes"}}, input)) ==
        Labels{1, 2});
  const auto data = ErrorKind::kData;
  CheckFails({{"path", x}, {"labels", folder.Write("s.txt", "3\n1\n")}}, input, data,
             "2 labels for 4 samples");
  CheckFails({{"path", x}, {"labels", x}}, input, data, "labels must be integers");
  CheckFails({{"path", x}, {"labels", Save(folder, "n.npy", Counting<int8_t>({4}, -2))}}, input,
             data, "n.npy[0]: label -2 is negative");
}

TEST_CASE("arrays: a .npz feeds several inputs by name") {
  const TempFolder folder;
  const std::string path = SaveNpz(folder, "m.npz",
                                   {{"mask", Counting<uint8_t>({3, 2}, 0)},
                                    {"ids", Counting<int64_t>({3, 4})},
                                    {"rate", Tensor::Scalar<int64_t>(16000)}});
  const InputInfo ids{"ids", DType::kInt64, {-1, -1}}, mask{"m", DType::kInt64, {-1, 2}},
      rate{"rate", DType::kInt64, {}};
  const auto batches =
      LoadAll({{"path", path}, {"batch", "2"}, {"input", "m=mask"}}, {ids, mask, rate});
  REQUIRE(batches.size() == 2);
  REQUIRE(batches[1].inputs.size() == 3);
  CHECK(batches[1].inputs[0] == Counting<int64_t>({1, 4}, 8));
  CHECK(batches[1].inputs[1] == Counting<int64_t>({1, 2}, 4));
  CHECK(batches[1].inputs[2] == Tensor::Scalar<int64_t>(16000));
  const auto data = ErrorKind::kData;
  CheckFails({{"path", path}}, {ids, mask}, data,
             "no array 'm' for model input 'm' among mask, ids, rate; set input: m=KEY");
  CheckFails({{"path", path}, {"input", "q=mask"}}, {ids, mask}, ErrorKind::kUsage,
             "'input' names 'q=mask', but the model's inputs are ids, m");
  CheckFails({{"path", path}}, {rate}, data, "no array with a sample axis");
  const std::string uneven = SaveNpz(
      folder, "u.npz", {{"ids", Counting<int64_t>({3, 4})}, {"m", Counting<int64_t>({2, 2})}});
  CheckFails({{"path", uneven}}, {ids, mask}, data, "array for 'm' has 2 samples, others have 3");
  const std::string single = SaveNpz(folder, "s.npz", {{"arr_0", Counting<int64_t>({1, 4})}});
  CHECK(LoadAll({{"path", single}}, {ids})[0].inputs[0] == Counting<int64_t>({1, 4}));
}

TEST_CASE("arrays: a folder of files, batches never mix shapes") {
  const TempFolder folder;
  Save(folder, "a.npy", Counting<float>({3, 2}));
  Save(folder, "b.npy", Counting<float>({2}, 6));  // one sample
  Save(folder, "c.npy", Counting<float>({1, 3}, 50));
  const auto batches = LoadAll({{"path", folder.path()}}, {Input({-1, -1})});
  REQUIRE(batches.size() == 2);
  CHECK(batches[0].inputs[0] == Counting<float>({4, 2}));
  CHECK(Names({batches[0]}) == Strings{"a.npy[0]", "a.npy[1]", "a.npy[2]", "b.npy"});
  CHECK(batches[1].inputs[0] == Counting<float>({1, 3}, 50));
  CheckFails({{"path", folder.path()}}, {Input({3, -1})}, ErrorKind::kData, "cannot share a batch");
  const auto listed = LoadAll(
      {{"path", folder.path()}, {"names", folder.Write("l.txt", "b.npy\n")}}, {Input({-1, -1})});
  CHECK(Names(listed) == Strings{"b.npy"});
  const TempFolder classes;
  std::filesystem::create_directory(classes / "k0");
  std::filesystem::create_directory(classes / "k1");
  Save(classes, "k0/x.npy", Counting<float>({2, 2}));
  Save(classes, "k1/x.npy", Counting<float>({1, 2}));
  CHECK(LabelsOf(LoadAll({{"path", classes.path()}, {"labels", "folder"}}, {Input({-1, 2})})) ==
        Labels{0, 0, 1});
}

TEST_CASE("conversion: exact integers, rounded floats") {
  const auto convert = [](const Tensor& from, DType type) -> Result<Tensor> {
    Tensor to = Tensor::Empty(type, from.shape());
    RETURN_IF_ERROR(ConvertElements(from.dtype(), from.raw(), from.size(), type, to.mutable_raw()));
    return to;
  };
  const auto bad = [&](const Tensor& from, DType type, const std::string& part) {
    const auto result = convert(from, type);
    REQUIRE_FALSE(result.ok());
    INFO(result.status().message());
    CHECK(result.status().kind() == ErrorKind::kData);
    CHECK(result.status().message().find(part) != std::string::npos);
  };
  CHECK(*convert(Tensor::FromVector<double>({2}, {0.1, -1e30}), DType::kFloat) ==
        Tensor::FromVector<float>({2}, {0.1f, -1e30f}));
  CHECK(*convert(Tensor::FromVector<uint8_t>({2}, {0, 1}), DType::kBool) ==
        Tensor::FromVector<bool>({2}, {false, true}));
  CHECK(*convert(Tensor::FromVector<bool>({2}, {false, true}), DType::kFloat) ==
        Tensor::FromVector<float>({2}, {0, 1}));
  CHECK(*convert(Tensor::FromVector<int64_t>({1}, {INT64_MIN}), DType::kDouble) ==
        Tensor::FromVector<double>({1}, {-0x1p63}));
  CHECK(convert(Tensor::FromVector<float>({1}, {65504}), DType::kFloat16)->ToFloat() ==
        Tensor::FromVector<float>({1}, {65504}));
  CHECK(convert(Tensor::FromVector<float>({1}, {1e38f}), DType::kBfloat16).ok());
  bad(Tensor::FromVector<double>({1}, {1e300}), DType::kFloat, "too large for float32");
  bad(Tensor::FromVector<float>({2}, {1, 1e6f}), DType::kFloat16, "element 1");
  CHECK(*convert(Tensor::FromVector<double>({2}, {-INFINITY, INFINITY}), DType::kFloat) ==
        Tensor::FromVector<float>({2}, {-INFINITY, INFINITY}));  // a mask
  bad(Tensor::FromVector<float>({1}, {NAN}), DType::kFloat, "element 0 is NaN");
  bad(Tensor::FromVector<int32_t>({1}, {16777217}), DType::kFloat, "16777217");
  bad(Tensor::FromVector<int64_t>({1}, {INT64_MAX}), DType::kDouble, "9223372036854775807");
  bad(Tensor::FromVector<uint64_t>({1}, {UINT64_MAX}), DType::kInt64, "18446744073709551615");
  bad(Tensor::FromVector<uint64_t>({1}, {UINT64_MAX}), DType::kFloat, "18446744073709551615");
  bad(Tensor::FromVector<int8_t>({1}, {-1}), DType::kUint64, "element 0 is -1");
  bad(Tensor::FromVector<uint8_t>({1}, {2}), DType::kBool, "element 0 is 2");
  CHECK_FALSE(CanConvert(DType::kFloat, DType::kInt8));
  CHECK_FALSE(CanConvert(DType::kString, DType::kFloat));
  CHECK_FALSE(CanConvert(DType::kInt4, DType::kInt8));
}

}  // namespace roundel::data
