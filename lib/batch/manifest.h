#pragma once
// The manifest of a batch: a YAML file with `defaults:` and a list `models:`.
//
//   defaults: {recipe: int8_per_channel, data: {path: calib/, preset: imagenet}}
//   models:
//     - zoo/*.onnx
//     - {id: big, model: big/model.onnx, timeout: 2h, memory: 6G, gates: {max_drop: 1}}

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"

namespace roundel::batch {

// The keys of the maps that recipes have, too: this room does not know them.
struct ManifestSpec {
  recipe::ParamSpecs data, gates;
};

// One entry of `models`, with the defaults filled in. Paths are as written.
struct Entry {
  std::string model;  // a path, or a pattern (*, ?, [abc])
  std::string id;     // may hold {stem} and {folder}; "": {stem}
  std::string recipe, target;
  std::map<std::string, recipe::ParamValue> data, eval, gates;  // only what is given
  std::map<std::string, std::string> set;                       // recipe key -> text
  std::vector<std::string> tags;
  double timeout = 0;  // seconds; 0: none
  int64_t memory = 0;  // bytes; 0: none
  int line = 0;
};

// Reads no other file. Errors: kUsage, "source:line: ...", with the nearest key for an unknown one.
Result<std::vector<Entry>> ParseManifest(const std::string& text, const std::string& source,
                                         const ManifestSpec& spec);

// One model to quantize.
struct Item {
  Entry entry;  // entry.model is one path now, entry.id the id
};

// Expands patterns in the order of the entries, and by name within one; relative paths of models
// are taken from `folder`. Errors: kUsage for a pattern without a match, an id that is no file
// name, and ids that occur twice.
Result<std::vector<Item>> ExpandEntries(const std::vector<Entry>& entries,
                                        const std::string& source, const std::string& folder);

// "90", "90s", "15m", "2h": seconds. nullopt-like -1 for other texts.
double ParseSeconds(const std::string& text);

}  // namespace roundel::batch
