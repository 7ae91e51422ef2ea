// External data: written beside the model, mapped when read, and never outside of the model's
// folder.

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "lib/base/text.h"
#include "lib/io/onnx.h"
#include "tests/lib/io/onnx_protos.h"
#include "tests/support/catch.h"
#include "tests/support/temp_folder.h"

namespace roundel::io {
namespace {

using support::TempFolder;
using namespace testing;

// `w` (float[2]) at `offset` of `location`.
onnx::ModelProto ExternalModel(const std::string& location, const std::string& offset = "",
                               const std::string& length = "") {
  onnx::ModelProto model = AddModel();
  onnx::TensorProto* tensor = model.mutable_graph()->mutable_initializer(0);
  tensor->clear_raw_data();
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"location", location}, {"offset", offset}, {"length", length}}) {
    if (value.empty()) continue;
    auto* entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  return model;
}

Result<graph::Model> Read(const TempFolder& folder, const onnx::ModelProto& proto) {
  return ReadOnnx(folder.Write("model.onnx", proto.SerializeAsString()));
}

graph::Model SmallModel() {
  const std::string bytes = AddModel().SerializeAsString();
  return ParseOnnx(bytes.data(), bytes.size()).value();
}

const std::string kOneTwo("\0\0\x80\x3f\0\0\0\x40", 8);  // float 1, 2
const Tensor kExpected = Tensor::FromVector<float>({2}, {1, 2});

}  // namespace

TEST_CASE("external data is mapped") {
  const TempFolder folder;
  folder.Write("weights.bin", std::string(64, '\xff') + kOneTwo + "tail");
  folder.Write("sub/weights.bin", kOneTwo);
  folder.Write("odd.bin", "xyz" + kOneTwo);
  const auto mapped = Read(folder, ExternalModel("weights.bin", "64", "8"));
  REQUIRE(mapped.ok());
  CHECK(*mapped->graph->Constant("w") == kExpected);
  CHECK(mapped->graph->Constant("w")->is_mapped());
  CHECK(*Read(folder, ExternalModel("sub/weights.bin"))->graph->Constant("w") == kExpected);
  CHECK(*Read(folder, ExternalModel("./sub/weights.bin"))->graph->Constant("w") == kExpected);
  const auto odd = Read(folder, ExternalModel("odd.bin", "3"));
  CHECK(*odd->graph->Constant("w") == kExpected);
  CHECK_FALSE(odd->graph->Constant("w")->is_mapped());
  CHECK(odd->graph->Constant("w")->data<float>()[1] == 2);

  // Written without the option, the weights move into the model.
  CHECK(Difference(AddModel(), [&] {
          onnx::ModelProto proto;
          CHECK(proto.ParseFromString(*SerializeOnnx(*mapped)));
          return proto;
        }()) == "");
}

TEST_CASE("a link inside of the model's folder is followed") {
  const TempFolder folder;
  folder.Write("blobs/1", kOneTwo);
  REQUIRE(symlink("blobs/1", (folder / "weights.bin").c_str()) == 0);
  CHECK(*Read(folder, ExternalModel("weights.bin"))->graph->Constant("w") == kExpected);
}

TEST_CASE("external data that must not or cannot be read") {
  const TempFolder outer;
  outer.Write("secret.bin", kOneTwo);
  outer.Write("model/weights.bin", kOneTwo);
  std::filesystem::create_directory(outer / "model/folder");
  REQUIRE(symlink("../secret.bin", (outer / "model/link.bin").c_str()) == 0);
  REQUIRE(symlink("..", (outer / "model/up").c_str()) == 0);
  REQUIRE(mkfifo((outer / "model/pipe").c_str(), 0600) == 0);
  struct Case {
    std::string location, offset, length, message;
  };
  const std::string outside = "' is outside the model's folder: only files in it are read";
  const std::string absolute = outer / "secret.bin";
  const Case cases[] = {
      {"", "", "", "external data without a location"},
      {"../secret.bin", "", "", "external data file '../secret.bin" + outside},
      {"folder/../../secret.bin", "", "", "external data file 'folder/../../secret.bin" + outside},
      {absolute, "", "", "external data file '" + Printable(absolute) + outside},
      {"link.bin", "", "", "external data file 'link.bin" + outside},
      {"up/secret.bin", "", "", "external data file 'up/secret.bin" + outside},
      {std::string("weights.bin\0x", 13), "", "",
       "external data file 'weights.bin\\x00x" + outside},
      {"none.bin", "", "",
       "external data file 'none.bin' cannot be opened: No such file or directory"},
      {"folder", "", "", "external data file 'folder' is not a regular file"},
      {"pipe", "", "", "external data file 'pipe' is not a regular file"},
      {".", "", "",
       "external data file '.' is outside the model's folder: only files in it are read"},
      {"weights.bin", "1", "",
       "external data file 'weights.bin' is too short: 8 bytes at offset 1 of 8"},
      {"weights.bin", "9223372036854775807", "",
       "external data file 'weights.bin' is too short: 8 bytes at offset 9223372036854775807 of 8"},
      {"weights.bin", "9223372036854775808", "",
       "external data offset '9223372036854775808' is not a number of bytes"},
      {"weights.bin", "-8", "", "external data offset '-8' is not a number of bytes"},
      {"weights.bin", "0x8", "", "external data offset '0x8' is not a number of bytes"},
      {"weights.bin", "0", "4", "external data of 4 bytes for shape [2] of float32, which needs 8"},
      {"weights.bin", "0", " 8", "external data length ' 8' is not a number of bytes"},
  };
  for (const Case& c : cases) {
    INFO(c.location);
    const std::string path = outer.Write(
        "model/model.onnx", ExternalModel(c.location, c.offset, c.length).SerializeAsString());
    const auto model = ReadOnnx(path);
    CHECK(model.status().kind() == ErrorKind::kModel);
    CHECK(model.status().message() == StrCat("'", path, "': initializer 'w': ", c.message));
  }
}

TEST_CASE("external data of a model in memory needs a folder") {
  const TempFolder folder;
  folder.Write("weights.bin", kOneTwo);
  const std::string bytes = ExternalModel("weights.bin").SerializeAsString();
  CHECK(
      ParseOnnx(bytes.data(), bytes.size()).status().message() ==
      "initializer 'w': external data file 'weights.bin' cannot be opened: the model was not read "
      "from a folder");
  CHECK(ParseOnnx(bytes.data(), bytes.size(), folder.path()).ok());
}

TEST_CASE("external data cannot be strings, claim a huge shape, or come with raw data") {
  const TempFolder folder;
  folder.Write("weights.bin", kOneTwo);
  onnx::ModelProto model = ExternalModel("weights.bin");
  onnx::TensorProto* tensor = model.mutable_graph()->mutable_initializer(0);
  const auto message = [&] {
    const auto read = Read(folder, model);
    CHECK(read.status().kind() == ErrorKind::kModel);
    const std::string& text = read.status().message();
    return text.substr(text.find("initializer"));
  };
  tensor->set_data_type(onnx::TensorProto::STRING);
  CHECK(message() == "initializer 'w': strings cannot be external data");
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->set_dims(0, int64_t{1} << 50);
  CHECK(message() ==
        "initializer 'w': external data file 'weights.bin' is too short: "
        "4503599627370496 bytes at offset 0 of 8");
  tensor->set_dims(0, 2);
  tensor->set_raw_data(kOneTwo);
  CHECK(message() == "initializer 'w': the tensor holds its data twice");
}

TEST_CASE("large weights go to a file beside the model on request") {
  const TempFolder folder;
  graph::Model model = SmallModel();
  Tensor page = Tensor::Zeros(DType::kFloat, {1 << 14});
  page.mutable_data<float>()[5] = 7;
  model.graph->SetInitializer("k", Tensor::FromVector<float>({256}, std::vector<float>(256, 1.5f)));
  model.graph->SetInitializer("page", page);
  model.graph->SetInitializer("just below", Tensor::Zeros(DType::kInt8, {1023}));
  model.graph->SetInitializer("last", Tensor::Zeros(DType::kInt8, {1025}));
  const std::string path = folder / "out.onnx";
  REQUIRE(WriteOnnx(model, path, {.external_data = true}).ok());

  onnx::ModelProto proto;
  REQUIRE(proto.ParseFromString(*ReadTextFile(path)));
  const auto entry = [&](int i, int j) { return proto.graph().initializer(i).external_data(j); };
  CHECK(proto.graph().initializer(0).raw_data() == kOneTwo);
  CHECK(proto.graph().initializer(3).has_raw_data());
  CHECK(entry(1, 0).key() == "location");
  CHECK(entry(1, 0).value() == "out.onnx.data");
  CHECK(entry(1, 1).value() == "0");
  CHECK(entry(2, 1).value() == "4096");   // 64 kB: on a page
  CHECK(entry(4, 1).value() == "69632");  // 4096 + 65536, a multiple of 64
  CHECK(entry(4, 2).value() == "1025");
  CHECK(std::filesystem::file_size(path + ".data") == 69632 + 1025);

  const auto read = ReadOnnx(path);
  REQUIRE(read.ok());
  REQUIRE(read->graph->initializers().size() == model.graph->initializers().size());
  for (const auto& initializer : model.graph->initializers())
    CHECK(*read->graph->FindInitializer(initializer.name) == initializer.value);
  // Over its own source: the mapping keeps the old bytes until the model is gone.
  REQUIRE(WriteOnnx(*read, path, {.external_data = true}).ok());
  CHECK(*ReadOnnx(path)->graph->FindInitializer("page") == page);
  // And back inside.
  CHECK(*SerializeOnnx(*read) == *SerializeOnnx(model));
}

TEST_CASE("without large weights there is no file beside the model") {
  const TempFolder folder;
  REQUIRE(WriteOnnx(SmallModel(), folder / "m.onnx", {.external_data = true}).ok());
  CHECK_FALSE(FileExists(folder / "m.onnx.data"));
  CHECK(*ReadOnnx(folder / "m.onnx")->graph->Constant("w") == kExpected);
}

TEST_CASE("typed data becomes external data, too") {
  const TempFolder folder;
  onnx::ModelProto proto = AddModel();
  onnx::TensorProto* tensor = proto.mutable_graph()->mutable_initializer(0);
  tensor->clear_raw_data();
  tensor->set_dims(0, 300);
  for (int i = 0; i < 300; ++i) tensor->add_float_data(static_cast<float>(i));
  const std::string bytes = proto.SerializeAsString();
  const auto model = ParseOnnx(bytes.data(), bytes.size());
  REQUIRE(model.ok());
  REQUIRE(WriteOnnx(*model, folder / "m.onnx", {.external_data = true}).ok());
  onnx::ModelProto written;
  REQUIRE(written.ParseFromString(*ReadTextFile(folder / "m.onnx")));
  CHECK(written.graph().initializer(0).float_data_size() == 0);
  CHECK(*ReadOnnx(folder / "m.onnx")->graph->Constant("w") == *model->graph->Constant("w"));
}

TEST_CASE("more than 2 GB do not fit into one message") {
  const TempFolder folder;
  const std::string path = folder.Write("holes", "");
  std::filesystem::resize_file(path, uint64_t{3} << 30);  // no disk blocks behind it
  const auto file = MappedFile::Open(path);
  REQUIRE(file.ok());
  graph::Model model = SmallModel();
  model.graph->SetInitializer("huge", Tensor::Mapped(DType::kInt8, {int64_t{3} << 30}, *file, 0));
  const auto bytes = SerializeOnnx(model);
  CHECK(bytes.status().kind() == ErrorKind::kModel);
  CHECK(bytes.status().message() ==
        "the model is larger than 2 GB, the limit of protobuf: write it with external data");
}

}  // namespace roundel::io
