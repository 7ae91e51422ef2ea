// Quantizes a classifier to 8 bits and writes the result, or says why not.

#include <roundel/roundel.h>

#include <cstdio>

namespace {

int Fail(const roundel::api::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return error.code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace roundel::api;
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s MODEL.onnx IMAGES OUT.onnx\n", argv[0]);
    return 2;
  }
  SetMessages(Messages::kWarnings);
  Outcome<Model> model = Model::Load(argv[1]);
  if (!model) return Fail(model.error());
  Outcome<Recipe> recipe = Recipe::Load("int8_per_channel");
  if (!recipe) return Fail(recipe.error());
  for (const std::string& key :
       {std::string("data.path=") + argv[2], std::string("data.preset=tf")})
    if (const Error error = recipe->Set(key)) return Fail(error);
  Outcome<Quantized> result = Quantize(*model, *recipe);
  if (!result) return Fail(result.error());
  if (const Error error = result->Export(argv[3])) return Fail(error);
  std::printf("roundel %s wrote %s\n", Version().c_str(), argv[3]);
  return 0;
}
