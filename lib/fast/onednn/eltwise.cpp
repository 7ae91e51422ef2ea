#include <bit>

#include "lib/fast/loops/post_ops.h"
#include "lib/fast/onednn/prepared_cache.h"
#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {
namespace {

class OneDnnEltwise : public TranscendentalOps {
 public:
  bool Run(const PostOp& op, const float* from, float* to, int64_t n) override {
    if (n == 0) return true;
    if (!DimsFit({n})) return false;
    PreparedCache<Primitive>::Key key = ShapeKey({});
    key.insert(key.end(), {n, static_cast<int64_t>(op.kind), std::bit_cast<int32_t>(op.alpha)});
    const Primitive& primitive = cache_.Get(key, [&] { return MakeElementwise(op, n); });
    return primitive && primitive.Run({.source = from, .destination = to}, nullptr);
  }

 private:
  PreparedCache<Primitive> cache_;
};

}  // namespace

std::unique_ptr<TranscendentalOps> MakeTranscendentalOps() {
  return std::make_unique<OneDnnEltwise>();
}

}  // namespace roundel::engine
