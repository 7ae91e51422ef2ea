#pragma once
// Fields of JSON that comes from outside: typed, each with one line for what is wrong (kUsage).

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

using Json = nlohmann::ordered_json;  // keys in the order of the specification's examples

// Whether lists and objects are nested deeper than any file needs. Asked before the text is parsed:
// the values of an object are copied, level by level on the stack, when a further key makes it
// grow.
bool NestedTooDeep(const std::string& json);
inline constexpr int kMaxNesting = 64;

// The value as messages show it.
std::string Shown(const Json& value);

Result<const Json*> Find(const Json& object, const char* key);
Result<std::string> TextAt(const Json& object, const char* key);
Result<bool> BoolAt(const Json& object, const char* key);  // "True" and "False", too
Result<int64_t> Integer(const Json& value, const char* what);
Result<int64_t> IntegerAt(const Json& object, const char* key);
// A flat list of integers, not empty.
Result<std::vector<int64_t>> IntegersAt(const Json& object, const char* key);
// A positive number that is one as a float32, too.
Result<double> ScaleOf(const Json& value);

// Values of nested lists in row-major order; kUsage if lists of one level differ in length.
Status Flatten(const Json& value, Shape* shape, std::vector<const Json*>* flat);

// One number or nested lists of them.
struct Numbers {
  Shape shape;
  std::vector<double> values;  // row-major
};
Result<Numbers> NumbersOf(const Json& value, const char* what);
Result<Numbers> NumbersAt(const Json& object, const char* key);
// The inverse of Flatten.
Json Nested(const Shape& shape, const std::vector<Json>& flat);

}  // namespace roundel::io
