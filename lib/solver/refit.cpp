#include "lib/solver/refit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {

using quant::QParams;

namespace {

// Sums of the normal equations of w^ = s (x + k): with h = H x,
// error(s, k) = const - 2 s (xw + k ow) + s^2 (xx + 2 k x1 + k^2 ones).
struct Normal {
  double xx = 0, xw = 0;            // x h, x H w*
  double x1 = 0, ones = 0, ow = 0;  // 1 h, 1 H 1, 1 H w*

  void Add(const Normal& other) {
    xx += other.xx;
    xw += other.xw;
    x1 += other.x1;
    ones += other.ones;
    ow += other.ow;
  }
  double Curvature(double k) const { return xx + 2 * k * x1 + k * k * ones; }
  double Slope(double k) const { return xw + k * ow; }
  double Gain(double k) const { return Slope(k) * Slope(k) / Curvature(k); }
};

Normal NormalOf(const RowState& row, const OffsetTerms& terms, int64_t group) {
  const double scale = row.levels[0].scale;
  Normal normal;
  normal.xw = Dot(row.x, row.hw, row.n());
  normal.xx = (normal.xw - Dot(row.x, row.g, row.n())) / scale;
  if (terms.h1.empty()) return normal;
  normal.ones = terms.ones[group];
  double sum_g = 0;
  for (int64_t j = 0; j < row.n(); ++j) {
    normal.ow += row.hw[j];
    sum_g += row.g[j];
  }
  normal.x1 = (normal.ow - sum_g) / scale;
  return normal;
}

bool UsableScale(double scale, const GridSpec& spec) {
  const double size = spec.signed_scale ? std::fabs(scale) : scale;
  return size >= std::numeric_limits<float>::min() && size < 1e30;
}

// The amount by which the zero point falls: levels rise by it.
int32_t BestShift(const Normal& normal, const QParams& old, const GridSpec& spec) {
  if (spec.grid.symmetric) return 0;
  // w^ = s x + c: the 2 x 2 system, then k = c / s.
  const double det = normal.xx * normal.ones - normal.x1 * normal.x1;
  const double s = (normal.xw * normal.ones - normal.ow * normal.x1) / det;
  const double c = (normal.ow * normal.xx - normal.xw * normal.x1) / det;
  if (!(det > 0) || !(s > 0)) return 0;
  const double zero_point = std::clamp(old.zero_point - std::nearbyint(c / s),
                                       double(spec.grid.qmin()), double(spec.grid.qmax()));
  if (!std::isfinite(zero_point)) return 0;
  const auto shift = old.zero_point - static_cast<int32_t>(zero_point);
  return normal.Curvature(shift) > 0 && normal.Gain(shift) > normal.Gain(0) ? shift : 0;
}

struct Refit {
  QParams params;
  int32_t shift = 0;
  bool changed = false;
};

Refit Solve(const Normal& normal, const QParams& old, const GridSpec& spec) {
  if (!(normal.xx > 0)) return {old};
  const int32_t shift = BestShift(normal, old, spec);
  const double scale = normal.Slope(shift) / normal.Curvature(shift);
  if (!UsableScale(scale, spec)) return {old};
  const QParams params{static_cast<float>(scale), old.zero_point - shift};
  return {params, shift, !(params == old)};
}

// Levels and gradient of a row after its scale and zero point changed.
void Apply(const Refit& refit, float old_scale, const OffsetTerms& terms, int64_t group,
           RowState row) {
  const auto shift = static_cast<float>(refit.shift);
  const float ratio = refit.params.scale / old_scale;
  for (int64_t j = 0; j < row.n(); ++j) {
    row.g[j] = row.hw[j] - ratio * (row.hw[j] - row.g[j]);
    row.x[j] += shift;
  }
  if (shift != 0) AddScaled(-refit.params.scale * shift, terms.h1[group].data(), row.g, row.n());
}

// One block after another, each with the present gradient. Zero points do not change.
void RefitBlocks(const GridSpec& spec, RowState row, QParams* params) {
  const int64_t n = row.n();
  std::vector<float> h(static_cast<size_t>(n));
  for (int64_t begin = 0; begin < n; begin += row.columns) {
    const int64_t width = std::min(row.columns, n - begin);
    QParams& p = params[begin / row.columns];
    std::fill(h.begin(), h.end(), 0.0f);
    for (int64_t j = begin; j < begin + width; ++j)
      if (row.x[j] != 0) AddScaled(row.x[j], row.problem.H.data() + j * n, h.data(), n);
    const double curvature = Dot(row.x + begin, h.data() + begin, width);
    if (!(curvature > 0)) continue;
    const double scale = p.scale + Dot(row.x + begin, row.g + begin, width) / curvature;
    if (!UsableScale(scale, spec)) continue;
    const float old = p.scale;
    p.scale = static_cast<float>(scale);
    AddScaled(old - p.scale, h.data(), row.g, n);
  }
}

}  // namespace

OffsetTerms MakeOffsetTerms(Layer layer, const GridSpec& spec) {
  OffsetTerms terms;
  if (spec.grid.symmetric) return terms;
  for (const Problem& p : layer) {
    std::vector<float> h1(static_cast<size_t>(p.n));
    double ones = 0;
    for (int64_t i = 0; i < p.n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < p.n; ++j) sum += p.H[i * p.n + j];
      h1[i] = static_cast<float>(sum);
      ones += sum;
    }
    terms.h1.push_back(std::move(h1));
    terms.ones.push_back(ones);
  }
  return terms;
}

void RefitRow(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group, int64_t row,
              LayerState* state) {
  RowState view = state->Row(row);
  QParams* params = state->params().data() + spec.ParamIndex(row, 0, view.n());
  if (spec.granularity == quant::Granularity::kBlock) {
    RefitBlocks(spec, view, params);
  } else {
    const int64_t group = row / rows_per_group;
    const Refit refit = Solve(NormalOf(view, terms, group), *params, spec);
    if (!refit.changed) return;
    Apply(refit, params->scale, terms, group, view);
    *params = refit.params;
  }
  state->SetLevels(row);
}

void RefitTensor(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group,
                 LayerState* state) {
  QParams& params = state->params()[0];
  const Normal normal = ParallelReduce(
      state->rows(), 16, Normal{},
      [&](int64_t begin, int64_t end) {
        Normal part;
        for (int64_t row = begin; row < end; ++row)
          part.Add(NormalOf(state->Row(row), terms, row / rows_per_group));
        return part;
      },
      [](Normal a, const Normal& b) {
        a.Add(b);
        return a;
      });
  const Refit refit = Solve(normal, params, spec);
  if (!refit.changed) return;
  const float old_scale = params.scale;
  params = refit.params;
  ParallelFor(state->rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Apply(refit, old_scale, terms, row / rows_per_group, state->Row(row));
      state->SetLevels(row);
    }
  });
}

}  // namespace roundel::solver
