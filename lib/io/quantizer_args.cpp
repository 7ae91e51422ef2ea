#include "lib/io/quantizer_args.h"

#include <map>

namespace roundel::io {

using Json = nlohmann::ordered_json;
using quant::EncodingTable;
using quant::Granularity;
using quant::Role;

namespace {

// The width that most encodings of a role have; the smaller one of equals, 0 if there are none.
int CommonBits(const EncodingTable& table, Role role) {
  std::map<int, int> votes;
  for (const auto& [name, e] : table)
    if (e.role == role) ++votes[e.grid.bits];
  int best = 0;
  for (const auto& [bits, count] : votes)
    if (best == 0 || count > votes[best]) best = bits;
  return best;
}

}  // namespace

Json QuantizerArgs(const EncodingTable& table, bool booleans_as_text) {
  bool symmetric = true, per_channel = false;
  for (const auto& [name, e] : table) {
    if (e.role != Role::kWeight) continue;
    symmetric &= e.grid.symmetric;
    per_channel |= e.granularity != Granularity::kTensor;
  }
  const auto flag = [&](bool value) {
    return booleans_as_text ? Json(value ? "True" : "False") : Json(value);
  };
  return {{"activation_bitwidth", CommonBits(table, Role::kActivation)},
          {"dtype", "int"},
          {"is_symmetric", flag(symmetric)},
          {"param_bitwidth", CommonBits(table, Role::kWeight)},
          {"per_channel_quantization", flag(per_channel)},
          {"quant_scheme", "post_training_tf"}};
}

}  // namespace roundel::io
