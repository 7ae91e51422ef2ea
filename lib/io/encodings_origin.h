#pragma once
// Which model the encodings of a file belong to, under the key "roundel" of the file, which other
// readers ignore. The passes of a recipe change the float model before it gets its grids: the given
// model is then not the one that the encodings describe.

#include <string>
#include <vector>

#include "lib/base/status.h"

namespace roundel::io {

// The metadata of a float model that was written beside its encodings: its identity.
inline constexpr const char* kFloatModelKey = "roundel.float_model";

struct EncodingsOrigin {
  // Input `index` of the node whose first output is `reader` has `copy` in the place of `value`.
  struct Copy {
    std::string copy, value, reader;
    int64_t index = 0;
  };
  std::string model;        // hash of the model that was given
  std::string float_model;  // identity of the one that the encodings describe; "": not known
  std::string target;
  std::string passes;              // that made it of the given one, as in a recipe; "": none
  std::vector<std::string> later;  // names of passes that then changed its weights and biases
  std::vector<Copy> copies;        // of constants, made after the passes
  std::vector<std::string> dynamic_layers;  // values of layers that quantize at run time
};

// Empty if the file does not say. kUsage for what cannot be read; `source` names the file.
Result<EncodingsOrigin> ParseEncodingsOrigin(const std::string& json, const std::string& source);
// The value of the key.
std::string EncodingsOriginJson(const EncodingsOrigin& origin);

}  // namespace roundel::io
