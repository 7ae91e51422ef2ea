#include "lib/graph/opset.h"

#include "lib/base/text.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"

namespace roundel::graph {
namespace {

Model Read(const std::string& text) {
  auto model = Parse(text);
  INFO((model.ok() ? "" : model.status().message()));
  REQUIRE(model.ok());
  return std::move(*model);
}

std::string Graph(int opset, const std::string& inputs, const std::string& body) {
  return StrCat("opset ", opset, "\ngraph g (", inputs, ") => (float32 y) {\n", body, "}\n");
}

// The body of the graph after raising, one statement a line without indentation.
std::string Raise(int from, int to, const std::string& inputs, const std::string& body) {
  Model model = Read(Graph(from, inputs, body));
  const Status status = RaiseOpset(&model, to);
  INFO(status.message());
  REQUIRE(status.ok());
  CHECK(model.Opset() == to);
  const Status valid = CheckModel(&model);
  INFO(valid.message());
  CHECK(valid.ok());
  std::string text;
  const std::vector<std::string> lines = Split(Print(model), '\n');
  for (const std::string& line : lines)
    if (line.starts_with("  ")) text += std::string(Trim(line)) + "\n";
  return text;
}

Status RaiseError(int from, int to, const std::string& inputs, const std::string& body) {
  Model model = Read(Graph(from, inputs, body));
  const std::string before = Print(model);
  Status status = RaiseOpset(&model, to);
  REQUIRE_FALSE(status.ok());
  CHECK(Print(model) == before);  // unchanged
  return status;
}

const char* const kImage = "float32[1,3,8,8] x";

TEST_CASE("attributes become inputs") {
  CHECK(Raise(12, 13, kImage, "[s] y = Squeeze<axes=[0]>(x)\n") ==
        "int64[1] s_axes = {0}\n[s] y = Squeeze(x, s_axes)\n");
  CHECK(Raise(12, 13, kImage, "y = Squeeze(x)\n") == "y = Squeeze(x)\n");
  CHECK(Raise(11, 13, kImage, "y = Unsqueeze<axes=[0,-1]>(x)\n") ==
        "int64[2] y_axes = {0, -1}\ny = Unsqueeze(x, y_axes)\n");
  CHECK(Raise(12, 13, kImage, "y = ReduceSum<axes=[2,3], keepdims=0>(x)\n") ==
        "int64[2] y_axes = {2, 3}\ny = ReduceSum<keepdims=0>(x, y_axes)\n");
  CHECK(Raise(13, 17, kImage, "y = ReduceMean<axes=[2,3]>(x)\n") ==
        "y = ReduceMean<axes=[2,3]>(x)\n");
  for (const char* op :
       {"L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"})
    CHECK(Raise(17, 18, kImage, StrCat("y = Reduce", op, "<axes=[1]>(x)\n")) ==
          StrCat("int64[1] y_axes = {1}\ny = Reduce", op, "(x, y_axes)\n"));
  CHECK(Raise(9, 10, kImage, "y = Slice<axes=[1,3], ends=[2,-1], starts=[0,1]>(x)\n") ==
        "int64[2] y_starts = {0, 1}\nint64[2] y_ends = {2, -1}\nint64[2] y_axes = {1, 3}\n"
        "y = Slice(x, y_starts, y_ends, y_axes)\n");
  CHECK(Raise(9, 10, kImage, "y = Slice<ends=[2], starts=[0]>(x)\n") ==
        "int64[1] y_starts = {0}\nint64[1] y_ends = {2}\ny = Slice(x, y_starts, y_ends)\n");
  CHECK(Raise(9, 11, kImage, "y, i = TopK<axis=1, k=2>(x)\n") ==
        "int64[1] y_k = {2}\ny, i = TopK<axis=1>(x, y_k)\n");
  CHECK(Raise(12, 13, kImage, "y, z = Split<axis=1, split=[1,2]>(x)\n") ==
        "int64[2] y_split = {1, 2}\ny, z = Split<axis=1>(x, y_split)\n");
  CHECK(Raise(12, 18, kImage, "y, z = Split<axis=2>(x)\n") ==
        "y, z = Split<axis=2, num_outputs=2>(x)\n");
  CHECK(Raise(13, 18, kImage, "int64[2] s = {4, 4}\ny, z = Split<axis=2>(x, s)\n") ==
        "int64[2] s = {4, 4}\ny, z = Split<axis=2>(x, s)\n");
  CHECK(Raise(19, 20, "float32[1,8,8,2] x", "y = DFT(x)\n") ==
        "int64[] y_axis = {1}\ny = DFT(x, \"\", y_axis)\n");
}

TEST_CASE("Pad and Clip take constants in the type of their data") {
  CHECK(Raise(10, 11, kImage, "y = Pad<mode=\"edge\", pads=[0,0,1,1,0,0,1,1]>(x)\n") ==
        "int64[8] y_pads = {0, 0, 1, 1, 0, 0, 1, 1}\ny = Pad<mode=\"edge\">(x, y_pads)\n");
  CHECK(Raise(10, 11, "float16[3] x", "y = Pad<pads=[1,0], value=0.5>(x)\n") ==
        "int64[2] y_pads = {1, 0}\nfloat16[] y_value = {0.5}\ny = Pad(x, y_pads, y_value)\n");
  CHECK(Raise(10, 11, "float64[3] x", "r = Relu(x)\ny = Clip<max=6.0, min=0.0>(r)\n") ==
        "float64[] y_min = {0}\nfloat64[] y_max = {6}\nr = Relu(x)\ny = Clip(r, y_min, y_max)\n");
  CHECK(Raise(10, 11, kImage, "y = Clip<min=0.0>(x)\n") ==
        "float32[] y_min = {0}\ny = Clip(x, y_min)\n");
  CHECK(Raise(10, 11, kImage, "y = Clip<max=1.0, min=-3.4028235e+38>(x)\n") ==
        "float32[] y_max = {1}\ny = Clip(x, \"\", y_max)\n");
  CHECK(Raise(10, 11, kImage, "y = Clip(x)\n") == "y = Clip(x)\n");
  const Status status = RaiseError(10, 11, "? x", "[c] y = Clip<min=0.0>(x)\n");
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message() ==
        "node 'c' (Clip) cannot be raised from opset 10 to 11: the type of its input 'x' is not "
        "known; run shape inference on the model first");
}

TEST_CASE("Dropout") {
  CHECK(Raise(7, 13, kImage, "y = Dropout<ratio=0.25>(x)\n") ==
        "float32[] y_ratio = {0.25}\ny = Dropout(x, y_ratio)\n");
  CHECK(Raise(7, 13, kImage, "float32[1,3,8,8] m\ny, m = Dropout(x)\n") == "y, m = Dropout(x)\n");
  CHECK(RaiseError(7, 10, kImage, "d, m = Dropout(x)\ny = Mul(d, m)\n").message() ==
        "node Dropout producing 'd' cannot be raised from opset 9 to 10: its mask is read, and is "
        "a bool from opset 10 on");
}

TEST_CASE("Softmax over the last axis only says so") {
  CHECK(Raise(12, 13, "float32[2,5] x", "y = Softmax(x)\n") == "y = Softmax<axis=1>(x)\n");
  CHECK(Raise(12, 13, "float32 x", "y = Softmax<axis=-1>(x)\n") == "y = Softmax<axis=-1>(x)\n");
  CHECK(Raise(12, 13, "float32[2,5,1,1] x", "y = LogSoftmax<axis=1>(x)\n") ==
        "y = LogSoftmax<axis=1>(x)\n");
  CHECK(Raise(12, 13, "float32[N,4,5] x", "y = Hardmax<axis=2>(x)\n") ==
        "y = Hardmax<axis=2>(x)\n");
}

TEST_CASE("Softmax over several axes is flattened") {
  const char* const expected =
      "y_shape = Shape(x)\ny_rows = Flatten<axis=1>(x)\ny_flat = Softmax<axis=-1>(y_rows)\n"
      "y = Reshape(y_flat, y_shape)\n";
  CHECK(Raise(12, 13, kImage, "y = Softmax(x)\n") == expected);
  CHECK(Raise(12, 13, "float32 x", "y = Softmax(x)\n") == expected);
  CHECK(Raise(11, 13, kImage, "y = LogSoftmax<axis=-2>(x)\n") ==
        "y_shape = Shape(x)\ny_rows = Flatten<axis=-2>(x)\n"
        "y_flat = LogSoftmax<axis=-1>(y_rows)\ny = Reshape(y_flat, y_shape)\n");
}

TEST_CASE("what Softmax meant before opset 13 is written out without raising it") {
  const auto flat = [](int opset, const std::string& inputs, const std::string& body) {
    Model model = Read(Graph(opset, inputs, body));
    FlattenSoftmaxes(&model);
    CHECK(model.Opset() == opset);
    INFO(CheckModel(&model).message());
    CHECK(CheckModel(&model).ok());
    return Print(model);
  };
  const char* const wide = "y = Softmax<axis=1>(x)\n";
  CHECK(flat(11, kImage, wide) ==
        Print(Read(Graph(11, kImage,
                         "y_shape = Shape(x)\ny_rows = Flatten<axis=1>(x)\n"
                         "y_flat = Softmax<axis=-1>(y_rows)\ny = Reshape(y_flat, y_shape)\n"))));
  const char* const last = "y = Softmax<axis=3>(x)\n";
  CHECK(flat(11, kImage, last) == Print(Read(Graph(11, kImage, last))));
  CHECK(flat(13, kImage, wide) == Print(Read(Graph(13, kImage, wide))));
}

TEST_CASE("Upsample becomes Resize") {
  CHECK(Raise(7, 8, kImage, "y = Upsample<scales=[1.0,1.0,2.0,2.0]>(x)\n") ==
        "y = Upsample<scales=[1.0,1.0,2.0,2.0]>(x)\n");
  CHECK(Raise(7, 9, kImage, "y = Upsample<scales=[1.0,1.0,2.0,2.0]>(x)\n") ==
        "float32[4] y_scales = {1, 1, 2, 2}\ny = Upsample(x, y_scales)\n");
  CHECK(Raise(9, 10, kImage, "float32[4] s = {1,1,2,2}\ny = Upsample<mode=\"linear\">(x, s)\n") ==
        "float32[4] s = {1, 1, 2, 2}\ny = Resize<mode=\"linear\">(x, s)\n");
  CHECK(Raise(7, 13, kImage, "y = Upsample<mode=\"nearest\", scales=[1.0,1.0,2.0,3.0]>(x)\n") ==
        "float32[4] y_scales = {1, 1, 2, 3}\n"
        "y = Resize<mode=\"nearest\", nearest_mode=\"floor\", "
        "coordinate_transformation_mode=\"asymmetric\">(x, \"\", y_scales)\n");
  CHECK(Raise(7, 11, kImage, "y = Upsample<mode=\"bilinear\", scales=[1.0,1.0,2.0,3.0]>(x)\n") ==
        "float32[4] y_scales = {1, 1, 2, 3}\nfloat32[0] y_roi = {}\n"
        "y = Resize<mode=\"linear\", coordinate_transformation_mode=\"asymmetric\">(x, y_roi, "
        "y_scales)\n");
  CHECK(Raise(10, 13, kImage, "float32[4] s = {1,1,0.5,0.6}\ny = Resize(x, s)\n") ==
        "float32[4] s = {1, 1, 0.5, 0.6}\ny = Resize<nearest_mode=\"ceil\", "
        "coordinate_transformation_mode=\"asymmetric\">(x, \"\", s)\n");
  CHECK(RaiseError(10, 11, kImage, "float32[4] s = {1,1,2,0.5}\ny = Resize(x, s)\n").message() ==
        "node Resize producing 'y' cannot be raised from opset 10 to 11: its scales are not "
        "constant, or both enlarge and shrink, so that its rounding is unknown");
}

TEST_CASE("Resize loses placeholders and the mode that is gone") {
  CHECK(Raise(11, 13, kImage,
              "float32[0] r = {}\nfloat32[0] s = {}\nint64[4] z = {1,3,4,4}\n"
              "y = Resize(x, r, s, z)\n") ==
        "int64[4] z = {1, 3, 4, 4}\ny = Resize(x, \"\", \"\", z)\n");
  CHECK(Raise(11, 13, kImage,
              "float32[8] r = zeros\nfloat32[4] s = {1,1,2,2}\n"
              "y = Resize<coordinate_transformation_mode=\"tf_crop_and_resize\">(x, r, s)\n") ==
        "float32[8] r = {0, 0, 0, 0, 0, 0, 0, 0}\nfloat32[4] s = {1, 1, 2, 2}\n"
        "y = Resize<coordinate_transformation_mode=\"tf_crop_and_resize\">(x, r, s)\n");
  const std::string inputs = "float32[0] r = {}\nfloat32[4] s = {1,1,2,2}\n";
  CHECK(Raise(11, 13, kImage,
              inputs + "y = Resize<coordinate_transformation_mode=\"tf_half_pixel_for_nn\", "
                       "nearest_mode=\"floor\">(x, r, s)\n") ==
        "float32[4] s = {1, 1, 2, 2}\ny = Resize<coordinate_transformation_mode=\"half_pixel\", "
        "nearest_mode=\"round_prefer_ceil\">(x, \"\", s)\n");
  CHECK_THAT(
      RaiseError(11, 13, kImage,
                 inputs + "y = Resize<coordinate_transformation_mode=\"tf_half_pixel_for_nn\">(x, "
                          "r, s)\n")
          .message(),
      Catch::Contains("tf_half_pixel_for_nn no longer exists for this rounding"));
}

TEST_CASE("small changes") {
  CHECK(Raise(8, 9, kImage, "y = BatchNormalization<spatial=1>(x, x, x, x, x)\n") ==
        "y = BatchNormalization(x, x, x, x, x)\n");
  CHECK(Raise(9, 15, kImage, "y, \"\", \"\" = BatchNormalization(x, x, x, x, x)\n") ==
        "y = BatchNormalization(x, x, x, x, x)\n");
  CHECK(Raise(10, 11, kImage, "y = Scatter<axis=1>(x, x, x)\n") ==
        "y = ScatterElements<axis=1>(x, x, x)\n");
  CHECK(Raise(15, 16, kImage, "y = RoiAlign(x, x, x)\n") ==
        "y = RoiAlign<coordinate_transformation_mode=\"output_half_pixel\">(x, x, x)\n");
  CHECK(Raise(16, 20, kImage, "y = GridSample<mode=\"bicubic\">(x, x)\n") ==
        "y = GridSample<mode=\"cubic\">(x, x)\n");
  CHECK(Raise(16, 20, kImage, "y = GridSample(x, x)\n") ==
        "y = GridSample<mode=\"linear\">(x, x)\n");
  CHECK(Raise(18, 21, "float32[1,4,2] x",
              "float32[2] s = {1, 2}\nfloat32[2] b = {3, 4}\n"
              "y = GroupNormalization<num_groups=2>(x, s, b)\n") ==
        "float32[2] s = {1, 2}\nfloat32[2] b = {3, 4}\nfloat32[4] y_scale = {1, 1, 2, 2}\n"
        "float32[4] y_bias = {3, 3, 4, 4}\n"
        "y = GroupNormalization<num_groups=2>(x, y_scale, y_bias)\n");
}

TEST_CASE("what cannot be raised is an error that names the node, and nothing changes") {
  const auto message = [](int from, int to, const std::string& body) {
    const Status status = RaiseError(from, to, "float32 x", body);
    CHECK(status.kind() == ErrorKind::kModel);
    return status.message();
  };
  CHECK(message(8, 9, "[bn] y = BatchNormalization<spatial=0>(x, x, x, x, x)\n") ==
        "node 'bn' (BatchNormalization) cannot be raised from opset 8 to 9: normalizing every "
        "position separately (spatial=0) no longer exists");
  CHECK_THAT(message(9, 14, "y, a, b = BatchNormalization(x, x, x, x, x)\nz = Relu(a)\n"),
             Catch::Contains("from opset 13 to 14: its training outputs are read"));
  CHECK_THAT(message(9, 14, "y, a, b = BatchNormalization(x, x, x, x, x)\n"),
             Catch::Contains("it is in training mode"));
  CHECK_THAT(message(8, 9, "y = Scan(x)\n"), Catch::Contains("Scan had a batch axis"));
  CHECK_THAT(message(8, 9, "y = Upsample(x)\n"), Catch::Contains("it has no attribute 'scales'"));
  CHECK_THAT(message(8, 10, "y, i = TopK(x)\n"), Catch::Contains("it has no attribute 'k'"));
  CHECK_THAT(message(18, 21, "y = GroupNormalization<num_groups=2>(x, x, x)\n"),
             Catch::Contains("the number of its channels is not known"));
  CHECK(message(6, 9, "y = Relu(x)\n") ==
        "opset 6 is too old to be raised (the oldest is 7); export the model again");
  // The node before the one that fails would have changed.
  CHECK_THAT(message(8, 10, "s = Slice<starts=[0], ends=[1]>(x)\ny, i = TopK(s)\n"),
             Catch::Contains("TopK"));
  Model model = Read(Graph(13, "float32 x", "y = Relu(x)\n"));
  const Status unknown = RaiseOpset(&model, 26);
  CHECK(unknown.kind() == ErrorKind::kUsage);
  CHECK(unknown.message() == "opset 26 is not known (the newest is 25)");
}

TEST_CASE("nothing happens to a model that is new enough") {
  Model model = Read(Graph(17, "float32 x", "y = Softmax(x)\n"));
  const std::string before = Print(model);
  REQUIRE(RaiseOpset(&model, 13).ok());
  CHECK(Print(model) == before);
  Model custom = Read(
      "opset com.microsoft 1\ngraph g (float32 x) => (float32 y) {\n"
      "y = com.microsoft.Gelu(x)\n}");
  REQUIRE(RaiseOpset(&custom, 21).ok());
  CHECK(custom.Opset() == 21);
}

TEST_CASE("the IR version rises with the opset, and never falls") {
  const auto ir = [](int64_t before, int to) {
    Model model = Read(Graph(7, "float32 x", "y = Relu(x)\n"));
    model.ir_version = before;
    REQUIRE(RaiseOpset(&model, to).ok());
    return model.ir_version;
  };
  CHECK(ir(3, 13) == 7);   // ONNX 1.8
  CHECK(ir(3, 21) == 10);  // ONNX 1.16
  CHECK(ir(3, 25) == 13);  // ONNX 1.20
  CHECK(ir(9, 13) == 9);
}

TEST_CASE("sub-graphs are raised, with names that are new in the whole model") {
  Model model = Read(R"(opset 12
graph g (bool[] c, float32[2,3,4] x) => (float32 y) {
  int64[1] z_axes = {7}
  [i] y = If<then_branch=graph t () => (float32 z) {
    z = Unsqueeze<axes=[0]>(x)
  }, else_branch=graph e () => (float32 s) {
    s = Softmax<axis=2>(x)
  }>(c)
})");
  REQUIRE(RaiseOpset(&model, 13).ok());
  CHECK(Print(model) == R"(opset 13
graph g (bool[] c, float32[2,3,4] x) => (float32 y) {
  int64[1] z_axes = {7}
  [i] y = If<then_branch=graph t () => (float32 z) {
    int64[1] z_axes_1 = {0}
    z = Unsqueeze(x, z_axes_1)
  }, else_branch=graph e () => (float32 s) {
    s = Softmax<axis=2>(x)
  }>(c)
}
)");
}

TEST_CASE("functions are raised from their own opset, with Constant nodes") {
  Model model = Read(R"(opset 13, f 1
function f.Thing<k>(a) => (b) {
  opset 12
  t = Unsqueeze<axes=[0]>(a)
  b = LeakyRelu<alpha=@k>(t)
}
graph g (float32[2,3] x) => (float32 y) {
  y = f.Thing<k=0.5>(x)
})");
  REQUIRE(RaiseOpset(&model, 18).ok());
  CHECK(Print(model) == R"(opset 18, f 1
function f.Thing<k>(a) => (b) {
  opset 18
  t_axes = Constant<value=int64[1]{0}>()
  t = Unsqueeze(a, t_axes)
  b = LeakyRelu<alpha=@k>(t)
}
graph g (float32[2,3] x) => (float32 y) {
  y = f.Thing<k=0.5>(x)
}
)");
  Model bound = Read(R"(opset 12, f 1
function f.Thing<k>(a) => (b) {
  opset 12
  b = Unsqueeze<axes=@k>(a)
}
graph g (float32[2,3] x) => (float32 y) {
  y = f.Thing<k=[0]>(x)
})");
  const Status status = RaiseOpset(&bound, 13);
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message() ==
        "function Thing: node Unsqueeze producing 'b' cannot be raised from opset 12 to 13: its "
        "attribute 'axes' is set by the caller of a function");
}

TEST_CASE("initializers that old models list as inputs become constants, newer defaults do not") {
  const char* const text = R"(ir_version 3
    opset 7
    graph g (float32[2,2] x, float32[2,2] w) => (float32[2,2] y) {
      float32[2,2] w = ones
      y = MatMul(x, w)
    })";
  Model old = Parse(text).value();
  REQUIRE(old.ir_version == 3);
  CHECK(old.graph->Constant("w") == nullptr);
  CHECK(MakeInitializersConstant(&old).empty());
  CHECK(old.ir_version == 4);
  CHECK(old.graph->inputs.size() == 1);
  CHECK(old.graph->Constant("w") != nullptr);

  Model newer = Parse(text).value();
  newer.ir_version = 4;
  CHECK(MakeInitializersConstant(&newer) == std::vector<std::string>{"w"});
  CHECK(newer.graph->inputs.size() == 1);
  CHECK(newer.graph->Constant("w") != nullptr);
}

TEST_CASE("Resize sees initializers that are graph inputs") {
  const std::string listed = StrCat(kImage, ", float32[0] none, float32[4] scales, int64[4] sizes");
  const std::string values =
      "  float32[0] none = {}\n  float32[4] scales = {1, 1, 2, 2}\n  int64[4] sizes = {1, 3, 4, "
      "4}\n";
  CHECK(Raise(11, 13, listed, values + "  y = Resize(x, none, none, sizes)\n")
            .ends_with("y = Resize(x, \"\", \"\", sizes)\n"));
  CHECK(Raise(11, 13, listed, values + "  y = Resize(x, none, scales)\n")
            .ends_with("y = Resize(x, \"\", scales)\n"));
  const std::string from10 =
      Raise(10, 13, listed, values + "  y = Resize<mode=\"nearest\">(x, scales)\n");
  CHECK(from10.find("nearest_mode=\"floor\"") != std::string::npos);
  CHECK(from10.ends_with("(x, \"\", scales)\n"));
}

}  // namespace
}  // namespace roundel::graph
