#include <bit>

#include "lib/engine/fast/post_ops.h"
#include "lib/engine/kernels_onednn/common.h"

namespace roundel::engine {
namespace {

dnnl::algorithm Algorithm(PostOpKind kind) {
  switch (kind) {
    case PostOpKind::kSigmoid:
      return dnnl::algorithm::eltwise_logistic;
    case PostOpKind::kTanh:
      return dnnl::algorithm::eltwise_tanh;
    case PostOpKind::kElu:
      return dnnl::algorithm::eltwise_elu;
    case PostOpKind::kSwish:
      return dnnl::algorithm::eltwise_swish;
    case PostOpKind::kGelu:
      return dnnl::algorithm::eltwise_gelu_erf;
    case PostOpKind::kExp:
      return dnnl::algorithm::eltwise_exp;
    default:
      return dnnl::algorithm::undef;
  }
}

class OneDnnEltwise : public TranscendentalOps {
 public:
  bool Run(const PostOp& op, const float* from, float* to, int64_t n) override {
    if (n == 0) return true;
    if (!DimsFit({n})) return false;
    try {
      const dnnl::memory::desc desc = FloatDesc({n}, Layout::kPlain);
      Key key = ShapeKey({});
      key.insert(key.end(), {n, static_cast<int64_t>(op.kind), std::bit_cast<int32_t>(op.alpha)});
      dnnl::eltwise_forward& primitive = cache_.Get(key, [&] {
        return dnnl::eltwise_forward(
            {{dnnl::prop_kind::forward_inference, Algorithm(op.kind), desc, op.alpha, op.beta},
             OneDnnEngine()});
      });
      primitive.execute(OneDnnStream(),
                        {{DNNL_ARG_SRC, Wrap(desc, from)}, {DNNL_ARG_DST, Wrap(desc, to)}});
      OneDnnStream().wait();
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

 private:
  using Key = PreparedCache<dnnl::eltwise_forward>::Key;
  PreparedCache<dnnl::eltwise_forward> cache_;
};

}  // namespace

std::unique_ptr<TranscendentalOps> MakeTranscendentalOps() {
  return std::make_unique<OneDnnEltwise>();
}

}  // namespace roundel::engine
