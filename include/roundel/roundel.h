#pragma once
// roundel as a library: load a model, run a recipe on it, write the result.
//
//   #include <roundel/roundel.h>
//
//   auto model = roundel::api::Model::Load("model.onnx");
//   auto recipe = roundel::api::Recipe::Load("int8_per_channel");
//   if (!model || !recipe) ...                          // model.error(), recipe.error()
//   recipe->Set("data.path=images");
//   auto result = roundel::api::Quantize(*model, *recipe);
//   if (result) result->Export("model_int8.onnx");
//
// No function throws. Errors have the exit codes and messages of the program. Objects may be used by
// one thread at a time; a run uses all cores (SetThreads). Warnings go to stderr, and to the report.
// Before version 1.0 this interface may change with every minor version.

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace roundel::api {

struct Error {
  // 0: none; 1: internal error or failing machine, 2: usage or recipe, 3: model, 4: data, 5: a quality
  // gate failed, 130: interrupted.
  int code = 0;
  std::string message;

  explicit operator bool() const { return code != 0; }
};

// A value, or the error that prevented it.
template <typename T>
class Outcome {
 public:
  Outcome(T value) : content_(std::move(value)) {}
  Outcome(Error error) : content_(std::move(error)) {}

  explicit operator bool() const { return std::holds_alternative<T>(content_); }
  // Of an outcome that is false.
  const Error& error() const { return std::get<Error>(content_); }
  // Of an outcome that is true.
  T& operator*() { return std::get<T>(content_); }
  const T& operator*() const { return std::get<T>(content_); }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

 private:
  std::variant<T, Error> content_;
};

// A float ONNX model, which Quantize does not change. Copies share the weights.
class Model {
 public:
  static Outcome<Model> Load(const std::string& path);

  struct Contents;
  explicit Model(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}
  const Contents& contents() const { return *contents_; }

 private:
  std::shared_ptr<const Contents> contents_;
};

// What to do: a built-in recipe by its name ('roundel recipes' lists them), or a YAML file, in which
// relative paths are taken from its folder.
class Recipe {
 public:
  static Outcome<Recipe> Load(const std::string& name_or_file);

  // Sets a key as --set does: "weights.bits=4", "data.path=images", "target=tensorrt".
  Error Set(const std::string& assignment);
  // All keys, as YAML.
  std::string Text() const;

  struct Contents;
  explicit Recipe(std::shared_ptr<Contents> contents) : contents_(std::move(contents)) {}
  const Contents& contents() const { return *contents_; }

 private:
  std::shared_ptr<Contents> contents_;  // never shared for writing: Set makes a copy
};

// A quantized model, in memory.
class Quantized {
 public:
  // Writes PATH, and beside it encodings, recipe and report, as the program does: all of them or none.
  Error Export(const std::string& path);
  // The report: what the passes did, sizes, the comparison with the float model.
  std::string ReportJson() const;
  std::vector<std::string> Warnings() const;
  // The first quality gate of the recipe that failed; code 0 if none did.
  Error Gate() const;

  struct Contents;
  explicit Quantized(std::shared_ptr<Contents> contents) : contents_(std::move(contents)) {}

 private:
  std::shared_ptr<Contents> contents_;
};

// Runs the recipe. The keys model and output of the recipe are not used.
Outcome<Quantized> Quantize(const Model& model, const Recipe& recipe);

// "0.1.0".
std::string Version();
// For all that follows; 0 = one per core.
void SetThreads(int threads);
// Limit on the memory of tensors; 0 = the machine's memory.
void SetMemoryLimit(long long bytes);
enum class Messages { kWarnings, kProgress, kDetails };
void SetMessages(Messages messages);

}  // namespace roundel::api
