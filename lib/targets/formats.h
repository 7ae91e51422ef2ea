#pragma once
// The formats of a quantized model. Each is QDQ (QuantizeLinear and DequantizeLinear) except for the
// nodes that it writes in a form of its own.

#include <functional>
#include <string>
#include <vector>

#include "lib/targets/export.h"

namespace roundel::target {

struct Format {
  std::string name = "";  // in recipes and target profiles, and of --to; from formats.def
  std::string title;      // in the metadata of the model
  // Steps of Export before QDQ is written, and after it; empty if there is none. The first removes
  // the weights that it writes from the table.
  std::function<void(const ExportOptions&, graph::Model*, quant::EncodingTable*)> before = {};
  std::function<void(const ExportOptions&, graph::Model*)> after = {};
  std::function<bool(const graph::Node&)> has;  // whether a node is of this format's own form
  // Its operators read and write codes, so that there are no float values between them.
  bool on_codes = false;
};

#define ROUNDEL_FORMAT(name) Format name##_format();
#include "lib/targets/formats.def"
#undef ROUNDEL_FORMAT

const std::vector<Format>& Formats();
std::vector<std::string> FormatNames();
// The format whose form `node` has; nullptr for a node of the float model.
const Format* FormatOf(const graph::Node& node);
// Errors: kUsage for an unknown name.
Result<const Format*> FindFormat(const std::string& name);

}  // namespace roundel::target
