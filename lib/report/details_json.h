#pragma once
// The JSON of a report's details. For lib/report alone.

#include <vector>

#include <nlohmann/json.hpp>

#include "lib/report/details.h"

namespace roundel::report {

nlohmann::ordered_json ToJson(const LayerFacts& layer);
nlohmann::ordered_json ToJson(const ValueError& error);
nlohmann::ordered_json ToJson(const RangeFacts& range);
nlohmann::ordered_json ToJson(const ChannelRanges& ranges);

template <typename T>
nlohmann::ordered_json ListJson(const std::vector<T>& items) {
  auto list = nlohmann::ordered_json::array();
  for (const T& item : items) list.push_back(ToJson(item));
  return list;
}

}  // namespace roundel::report
