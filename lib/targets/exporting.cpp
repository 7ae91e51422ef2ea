#include "lib/targets/exporting.h"

namespace roundel::target {

using quant::Encoding;

const Encoding* Exporting::Find(const std::string& value) const {
  const auto it = table.find(value);
  return it == table.end() ? nullptr : &it->second;
}

bool Exporting::IsUsed(const std::string& value) const {
  return !g.Uses(value).empty() || g.IsOutput(value);
}

bool Exporting::IsReplacedConstant(const std::string& value) const {
  return Find(value) && g.Constant(value) && !g.IsOutput(value);
}

const std::string& Exporting::Target(const std::string& value) const {
  const std::string* target = &value;
  for (auto it = absorbed_into.find(value); it != absorbed_into.end();
       it = absorbed_into.find(*target))
    target = &it->second;
  return *target;
}

std::string Exporting::ReadName(const std::string& value) const {
  const auto it = reads.find(value);
  return it == reads.end() ? value : it->second;
}

std::string Exporting::WriteName(const std::string& value) const {
  const std::string& target = Target(value);
  const auto it = writes.find(target);
  return it == writes.end() ? target : it->second;
}

}  // namespace roundel::target
