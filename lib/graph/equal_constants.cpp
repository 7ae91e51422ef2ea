// Equal constants of several bodies.

#include <map>

#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/graph/body_scopes.h"

namespace roundel::graph {
namespace {

class EqualFinder {
 public:
  EqualFinder(const BodyScopes& scopes, const Graph& flat) : scopes_(scopes), flat_(flat) {}

  std::unordered_map<std::string, std::string> Run() {
    FindConstants();
    FindDequantizers();
    return std::move(equal_);
  }

 private:
  // Compares only candidates: constants of equal type and shape, one of them read in a body.
  void FindConstants() {
    constexpr int64_t kLarge = 1024;  // bytes; smaller duplicates do not matter
    std::map<std::string, std::vector<const Initializer*>> alike;
    for (const Initializer& initializer : flat_.initializers()) {
      const Tensor& value = initializer.value;
      const std::string& name = initializer.name;
      if (value.dtype() != DType::kString && value.byte_size() >= kLarge && !flat_.IsInput(name) &&
          !flat_.IsOutput(name) && !scopes_.Readers(name).empty())
        alike[DTypeName(value.dtype()) + ShapeString(value.shape())].push_back(&initializer);
    }
    for (const auto& [type, group] : alike) {
      bool in_body = false;
      for (const Initializer* initializer : group) in_body |= InBody(initializer->name);
      if (group.size() < 2 || !in_body) continue;
      for (const Initializer* initializer : group)
        Take(initializer->name, ContentKey(initializer->value));
    }
  }

  void FindDequantizers() {
    for (const NodePtr& node : flat_.nodes()) {
      if (!scopes_.IsDequantizer(*node) || scopes_.Readers(node->output(0)).empty()) continue;
      std::string key = StrCat(node->domain, node->Int("axis", 1), ",", node->Int("block_size", 0));
      bool constant = true;
      for (const std::string& input : node->inputs) {
        const Tensor* value = flat_.FindInitializer(input);
        constant &= value != nullptr;
        if (value) key += ContentKey(*value);
      }
      if (constant) Take(node->output(0), std::move(key));
    }
  }

  bool InBody(const std::string& value) const { return *scopes_.Readers(value).rbegin() > 0; }

  void Take(const std::string& value, std::string key) {
    std::vector<std::string>& others = known_[std::move(key)];
    for (const std::string& other : others) {
      if ((!InBody(value) && !InBody(other)) || !Same(value, other)) continue;
      equal_[value] = other;
      return;
    }
    others.push_back(value);
  }

  static std::string ContentKey(const Tensor& value) {
    Hasher hasher;
    hasher.Add(value.raw(), static_cast<size_t>(value.byte_size()));
    return StrCat("|", DTypeName(value.dtype()), ShapeString(value.shape()), hasher.Hex());
  }

  // Equal keys may be a collision.
  bool Same(const std::string& a, const std::string& b) const {
    if (const Tensor* value = flat_.FindInitializer(a)) return *value == *flat_.FindInitializer(b);
    const Node &x = *flat_.Producer(a), &y = *flat_.Producer(b);
    for (size_t i = 0; i < x.inputs.size(); ++i)
      if (!(*flat_.FindInitializer(x.inputs[i]) == *flat_.FindInitializer(y.inputs[i])))
        return false;
    return true;
  }

  const BodyScopes& scopes_;
  const Graph& flat_;
  std::map<std::string, std::vector<std::string>> known_;
  std::unordered_map<std::string, std::string> equal_;
};

}  // namespace

std::unordered_map<std::string, std::string> FindEqual(const BodyScopes& scopes,
                                                       const Graph& flat) {
  return EqualFinder(scopes, flat).Run();
}

}  // namespace roundel::graph
