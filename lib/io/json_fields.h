#pragma once
// Typed reads of fields of untrusted JSON. Errors: kUsage, in one line.

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "lib/base/status.h"
#include "lib/tensor/tensor.h"

namespace roundel::io {

using Json = nlohmann::ordered_json;  // keys in the order of the specification's examples

// Whether lists and objects are nested deeper than any valid file. Must be checked
// before parsing: when an object grows, its values are copied recursively on the
// stack.
bool NestedTooDeep(const std::string& json);
inline constexpr int kMaxNesting = 64;

// The value in messages.
std::string Shown(const Json& value);

Result<const Json*> Find(const Json& object, const char* key);
Result<std::string> TextAt(const Json& object, const char* key);
Result<bool> BoolAt(const Json& object, const char* key);  // "True" and "False", too
Result<int64_t> Integer(const Json& value, const char* what);
Result<int64_t> IntegerAt(const Json& object, const char* key);
// A flat list of integers, not empty.
Result<std::vector<int64_t>> IntegersAt(const Json& object, const char* key);
// A number that is positive also as float32.
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
