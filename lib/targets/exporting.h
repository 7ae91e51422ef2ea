#pragma once
// What the steps of an export to QDQ share.

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/targets/graph_edit.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

struct Exporting {
  const graph::Graph& g;  // the float graph
  const quant::EncodingTable& table;
  const QdqOptions& options;
  const std::string domain;  // of Q and DQ nodes
  const int least_bits;      // of stored codes
  NameSet names{g};
  std::shared_ptr<graph::Graph> out = EmptyCopy(g);
  std::unordered_set<const graph::Node*> dropped;  // clamps that a quantizer repeats
  Renames
      absorbed_into;  // output of a dropped clamp's producer -> the encoded value after the clamps
  Renames reads, writes;  // value -> its name at consumers, and at its producer, where it differs
  // Node -> the constants that are dequantized before it
  std::unordered_map<const graph::Node*, std::vector<std::string>> constants_before;

  // The encoding of a value; nullptr if it has none.
  const quant::Encoding* Find(const std::string& value) const;
  bool IsUsed(const std::string& value) const;
  // Whether consumers read this constant through a DequantizeLinear.
  bool IsReplacedConstant(const std::string& value) const;
  // The encoded value that replaces one before dropped clamps; other values themselves.
  const std::string& Target(const std::string& value) const;
  // The name that consumers of an encoded value read.
  std::string ReadName(const std::string& value) const;
  // The name under which its producer writes a value.
  std::string WriteName(const std::string& value) const;
};

}  // namespace roundel::target
