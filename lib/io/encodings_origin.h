#pragma once
// The identity of the model that an encodings file describes, under its key "roundel", which other
// readers ignore. The passes of a recipe change the float model before calibration: the encodings
// then do not describe the input model.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::io {

// The metadata key of the identity of a float model that was written with its encodings.
inline constexpr const char* kFloatModelKey = "roundel.float_model";

struct EncodingsOrigin {
  // Input `index` of the node whose first output is `reader` reads `copy` instead of `value`.
  struct Copy {
    std::string copy, value, reader;
    int64_t index = 0;
  };
  std::string model;        // hash of the input model
  std::string float_model;  // identity of the described model; "": unknown
  std::string target;
  std::string passes;              // that produced it from the input, as in a recipe; "": none
  std::vector<std::string> later;  // names of passes that then changed its weights and biases
  std::vector<Copy> copies;        // of constants, made after the passes
  std::vector<std::string> dynamic_layers;  // values of layers that quantize at run time
};

// Empty if the file has no such key. Errors: kUsage if it is invalid; `source` names the file.
Result<EncodingsOrigin> ParseEncodingsOrigin(const std::string& json, const std::string& source);
// The value of the key.
std::string EncodingsOriginJson(const EncodingsOrigin& origin);

}  // namespace roundel::io
