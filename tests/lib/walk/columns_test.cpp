#include "lib/walk/columns.h"

#include <numeric>

#include "lib/graph/layer.h"
#include "tests/lib/engine/engine_test_support.h"

namespace roundel::walk {

using namespace engine;
namespace {

// The layer of the model as a matrix product over all its columns, beside what plain kernels give.
void CheckUnfolds(const std::string& text, const Shape& input) {
  INFO(text);
  const graph::Model model = ParseModel(text);
  std::string why;
  const auto layer = graph::MatchMatrixProduct(*model.graph, model.graph->nodes()[0].get(), &why);
  REQUIRE(layer);
  const Tensor x = RandomTensor(input, 3);
  const Tensor y = MustRun(*MustCreate(model, {.fast_kernels = false}), {x})[0];
  const Tensor& w = *model.graph->Constant(layer->weight());
  const auto columns = Columns::Create(*layer, w.shape(), input);
  REQUIRE(columns.ok());
  std::vector<int64_t> all(static_cast<size_t>(columns->positions()));
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> rows(all.size() * static_cast<size_t>(columns->size()));
  const bool convolution = graph::IsConvolution(*layer);
  const int64_t channels = layer->out_channels();
  const int64_t pixels = convolution                ? y.size() / channels / y.dim(0)
                         : layer->weight_index == 0 ? y.dim(-1)
                                                    : 1;
  for (int64_t g = 0; g < layer->groups; ++g) {
    columns->Read(x.data<float>(), all, g, rows.data());
    for (int64_t p = 0; p < columns->positions(); ++p)
      for (int64_t o = 0; o < layer->out_per_group; ++o) {
        double sum = 0;
        for (int64_t i = 0; i < layer->in_per_group; ++i)
          for (int64_t k = 0; k < layer->kernel; ++k)
            sum += static_cast<double>(rows[p * columns->size() + i * layer->kernel + k]) *
                   w.data<float>()[layer->Index(g, o, i, k)];
        const int64_t channel = g * layer->out_per_group + o;
        const int64_t at = (p / pixels * channels + channel) * pixels + p % pixels;
        CHECK(y.data<float>()[at] == Approx(sum).margin(1e-5));
      }
  }
}

TEST_CASE("a layer is a matrix product over its columns") {
  CheckUnfolds(R"(opset 13
    graph g (float32[N,4,7,6] x) => (float32[N,6,4,4] y) {
      float32[6,2,3,2] w = random(1)
      y = Conv<group=2, pads=[1,0,2,1], strides=[2,1], dilations=[1,2]>(x, w)
    })",
               {3, 4, 7, 6});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,3,5,5] x) => (float32[N,2,5,5] y) {
      float32[2,3,4,3] w = random(1)
      y = Conv<auto_pad="SAME_LOWER">(x, w)
    })",
               {2, 3, 5, 5});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,2,9] x) => (float32[N,4,9] y) {
      float32[4,2,3] w = random(1)
      y = Conv<pads=[1,1]>(x, w)
    })",
               {2, 2, 9});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,2,3,4,3] x) => (float32[N,2,2,3,2] y) {
      float32[2,1,2,2,2] w = random(1)
      y = Conv<group=2>(x, w)
    })",
               {2, 2, 3, 4, 3});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,3] y) {
      float32[3,5] w = random(1)
      y = Gemm<transB=1>(x, w)
    })",
               {4, 5});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,3,5] x) => (float32[N,3,2] y) {
      float32[5,2] w = random(1)
      y = MatMul(x, w)
    })",
               {2, 3, 5});
}

TEST_CASE("weights on the left and stacks of matrices are matrix products, too") {
  CheckUnfolds(R"(opset 13
    graph g (float32[N,5,4] x) => (float32[N,3,4] y) {
      float32[3,5] w = random(1)
      y = MatMul(w, x)
    })",
               {2, 5, 4});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,3,4,5] x) => (float32[N,3,4,2] y) {
      float32[3,5,2] w = random(1)
      y = MatMul(x, w)
    })",
               {2, 3, 4, 5});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,1,4,5] x) => (float32[N,3,4,2] y) {
      float32[3,5,2] w = random(1)
      y = MatMul(x, w)
    })",
               {2, 1, 4, 5});
  CheckUnfolds(R"(opset 13
    graph g (float32[4,5] x) => (float32[2,3,4,2] y) {
      float32[2,3,5,2] w = random(1)
      y = MatMul(x, w)
    })",
               {4, 5});
  CheckUnfolds(R"(opset 13
    graph g (float32[N,3,4,5] x) => (float32[N,3,4,2] y) {
      float32[1,5,2] w = random(1)
      y = MatMul(x, w)
    })",
               {2, 3, 4, 5});
}

TEST_CASE("an input that does not fit the layer is an error") {
  const graph::Model model = ParseModel(R"(opset 13
    graph g (float32[N,3,5,5] x) => (float32[N,2,3,3] y) {
      float32[2,3,3,3] w = random(1)
      y = Conv(x, w)
    })");
  std::string why;
  const auto layer = graph::MatchLayer(*model.graph, model.graph->nodes()[0].get(), &why);
  REQUIRE(layer);
  for (const Shape& shape : {Shape{1, 4, 5, 5}, Shape{1, 3, 5}, Shape{3}, Shape{1, 3, 2, 2}})
    CHECK_FALSE(Columns::Create(*layer, {2, 3, 3, 3}, shape).ok());
}

}  // namespace
}  // namespace roundel::walk
