#include "lib/solver/vector_search.h"

#include <algorithm>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/vector_rounding.h"

namespace roundel::solver {

using quant::Granularity;
using quant::QParams;

namespace {

// One vector lane: a row of a group, with levels to try.
struct Job {
  int64_t row = 0;
  Levels levels;
};

std::vector<float> JobLosses(const Problem& problem, const Factor& factor, bool feedback,
                             const std::vector<Job>& jobs) {
  std::vector<float> losses(jobs.size());
  ParallelFor(static_cast<int64_t>(jobs.size()), kVectorLanes, [&](int64_t begin, int64_t end) {
    VectorBatch batch(factor, feedback);
    VectorLevels levels;
    for (int64_t i = begin; i < end; ++i) {
      batch.SetTarget(i - begin, problem.target.data() + jobs[i].row * problem.n);
      levels.Set(i - begin, jobs[i].levels);
    }
    batch.RoundAll(levels);
    for (int64_t i = begin; i < end; ++i) losses[i] = batch.loss(i - begin);
  });
  return losses;
}

// The best candidate so far for every scale.
struct Best {
  Candidate candidate;
  double loss = std::numeric_limits<double>::infinity();
};

// kChannel: candidates_of(row) lists the candidates of a row; all lists have equal
// length.
template <typename CandidatesOf>
void SearchRows(const Problem& problem, const Factor& factor, const GridSpec& spec, bool feedback,
                const WeightRange* ranges, const CandidatesOf& candidates_of, Best* best) {
  std::vector<Job> jobs;
  std::vector<Candidate> tried;
  for (int64_t row = 0; row < problem.m; ++row)
    for (const Candidate& c : candidates_of(row)) {
      jobs.push_back({row, LevelsOf(CandidateParams(ranges[row], spec, c), spec.grid)});
      tried.push_back(c);
    }
  const std::vector<float> losses = JobLosses(problem, factor, feedback, jobs);
  for (size_t i = 0; i < jobs.size(); ++i) {
    Best& b = best[jobs[i].row];
    if (losses[i] < b.loss) b = {tried[i], losses[i]};
  }
}

// kTensor: the sum over all rows of all groups decides.
void SearchTensor(Layer layer, const Factors& factors, const GridSpec& spec, bool feedback,
                  const WeightRange& range, const std::vector<Candidate>& candidates, Best* best) {
  std::vector<std::vector<double>> totals(layer.size());
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      std::vector<Job> jobs;
      for (const Candidate& c : candidates)
        for (int64_t row = 0; row < layer[g].m; ++row)
          jobs.push_back({row, LevelsOf(CandidateParams(range, spec, c), spec.grid)});
      const std::vector<float> losses = JobLosses(layer[g], factors[g], feedback, jobs);
      totals[g].resize(candidates.size());
      for (size_t i = 0; i < jobs.size(); ++i)
        totals[g][i / static_cast<size_t>(layer[g].m)] += losses[i];
    }
  });
  for (size_t c = 0; c < candidates.size(); ++c) {
    double total = 0;
    for (const std::vector<double>& group : totals) total += group[c];
    if (total < best->loss) *best = {candidates[c], total};
  }
}

// ---- blocks

// The positions of one block of columns in the factor's order.
struct Piece {
  int64_t begin, end, block;
};

std::vector<Piece> PiecesOf(const Factor& factor, int64_t block_size) {
  std::vector<Piece> pieces;
  for (int64_t p = 0; p < factor.n; ++p) {
    const int64_t block = factor.order[p] / block_size;
    if (pieces.empty() || pieces.back().block != block) pieces.push_back({p, p, block});
    pieces.back().end = p + 1;
  }
  return pieces;
}

// Rows [begin, begin + lanes) of a group; their row numbers in the layer start at `first`.
struct BlockRows {
  const GridSpec& spec;
  const Search& search;
  const std::vector<WeightRange>& ranges;
  int64_t n, first, lanes;

  // Tries candidate `index` of every vector lane's list, and keeps the better one.
  void Try(VectorBatch* batch, int64_t block, const std::vector<std::vector<Candidate>>& lists,
           std::vector<Best>* best) const {
    for (size_t c = 0; c < lists[0].size(); ++c) {
      VectorLevels levels;
      for (int64_t l = 0; l < lanes; ++l)
        levels.Set(l, LevelsOf(Params(l, block, lists[l][c]), spec.grid));
      float loss[kVectorLanes];
      batch->Try(levels, loss);
      for (int64_t l = 0; l < lanes; ++l)
        if (loss[l] < (*best)[l].loss) (*best)[l] = {lists[l][c], loss[l]};
    }
  }
  QParams Params(int64_t lane, int64_t block, const Candidate& c) const {
    return CandidateParams(ranges[Index(lane, block)], spec, c);
  }
  size_t Index(int64_t lane, int64_t block) const {
    return static_cast<size_t>((first + lane) * spec.Blocks(n) + block);
  }
};

// Scales of one block, chosen and applied.
void SolveBlock(const BlockRows& rows, const Piece& piece, VectorBatch* batch, Params* params) {
  const auto lanes = static_cast<size_t>(rows.lanes);
  batch->Begin(piece.begin, piece.end);
  std::vector<Best> best(lanes);
  rows.Try(batch, piece.block, std::vector(lanes, rows.search.coarse), &best);
  if (rows.search.fine > 0) {
    std::vector<std::vector<Candidate>> lists;
    for (const Best& b : best)
      lists.push_back(FineCandidates(rows.spec, b.candidate, rows.search.step, rows.search.fine));
    rows.Try(batch, piece.block, lists, &best);
  }
  VectorLevels levels;
  for (int64_t l = 0; l < rows.lanes; ++l) {
    const QParams chosen = rows.Params(l, piece.block, best[l].candidate);
    (*params)[rows.Index(l, piece.block)] = chosen;
    levels.Set(l, LevelsOf(chosen, rows.spec.grid));
  }
  batch->Round(
      std::vector<const VectorLevels*>(static_cast<size_t>(piece.end - piece.begin), &levels));
}

void ReadCodes(const VectorBatch& batch, const Factor& factor, const GridSpec& spec, int64_t first,
               int64_t lanes, Solution* solution) {
  const int64_t n = factor.n;
  for (int64_t p = 0; p < n; ++p)
    for (int64_t l = 0; l < lanes; ++l) {
      const int64_t row = first + l, column = factor.order[p];
      solution->codes[row * n + column] =
          CodeOf(batch.level(p, l), solution->params[spec.ParamIndex(row, column, n)]);
    }
}

// Calls body(group, first row in the group, rows) for batches of vector lanes, in parallel.
template <typename Body>
void ForBatches(Layer layer, const Body& body) {
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g)
      ParallelFor(layer[g].m, kVectorLanes,
                  [&](int64_t from, int64_t to) { body(g, from, to - from); });
  });
}

}  // namespace

Factors MakeFactors(Layer layer, const GridSpec& spec, Order order) {
  Factors factors(layer.size());
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g)
      factors[g] = MakeFactor(
          layer[g], ColumnOrderOfBlocks(layer[g], spec.ColumnsPerBlock(layer[g].n), order));
  });
  return factors;
}

Params SearchScales(Layer layer, const GridSpec& spec, const Factors& factors,
                    const Search& search) {
  const std::vector<WeightRange> ranges = RangesOf(layer, spec);
  std::vector<Best> best(ranges.size());
  if (spec.granularity == Granularity::kTensor) {
    SearchTensor(layer, factors, spec, search.feedback, ranges[0], search.coarse, best.data());
    if (search.fine > 0)
      SearchTensor(layer, factors, spec, search.feedback, ranges[0],
                   FineCandidates(spec, best[0].candidate, search.step, search.fine), best.data());
  } else {
    ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        Best* of_group = best.data() + g * layer[g].m;
        const WeightRange* range = ranges.data() + g * layer[g].m;
        SearchRows(
            layer[g], factors[g], spec, search.feedback, range,
            [&](int64_t) { return search.coarse; }, of_group);
        if (search.fine == 0) continue;
        SearchRows(
            layer[g], factors[g], spec, search.feedback, range,
            [&](int64_t row) {
              return FineCandidates(spec, of_group[row].candidate, search.step, search.fine);
            },
            of_group);
      }
    });
  }
  Params params;
  for (size_t i = 0; i < ranges.size(); ++i)
    params.push_back(CandidateParams(ranges[i], spec, best[i].candidate));
  return params;
}

Solution SearchBlocks(Layer layer, const GridSpec& spec, const Factors& factors,
                      const Search& search) {
  const std::vector<WeightRange> ranges = RangesOf(layer, spec);
  Solution solution = EmptySolution(layer, spec, Params(ranges.size()));
  const int64_t n = solution.n;
  ForBatches(layer, [&](int64_t g, int64_t from, int64_t lanes) {
    VectorBatch batch(factors[g], search.feedback);
    for (int64_t l = 0; l < lanes; ++l) batch.SetTarget(l, layer[g].target.data() + (from + l) * n);
    const BlockRows rows{spec, search, ranges, n, g * layer[g].m + from, lanes};
    for (const Piece& piece : PiecesOf(factors[g], spec.ColumnsPerBlock(n)))
      SolveBlock(rows, piece, &batch, &solution.params);
    ReadCodes(batch, factors[g], spec, rows.first, lanes, &solution);
  });
  Score(layer, spec, &solution);
  return solution;
}

Solution RoundVectorLanes(Layer layer, const GridSpec& spec, const Factors& factors,
                          const Params& params, bool feedback) {
  Solution solution = EmptySolution(layer, spec, params);
  const int64_t n = solution.n, blocks = spec.Blocks(n);
  constexpr int64_t kPiece = 48;
  ForBatches(layer, [&](int64_t g, int64_t from, int64_t lanes) {
    const Factor& factor = factors[g];
    const int64_t first = g * layer[g].m + from;
    VectorBatch batch(factor, feedback);
    std::vector<VectorLevels> levels(static_cast<size_t>(blocks));
    for (int64_t l = 0; l < lanes; ++l) {
      batch.SetTarget(l, layer[g].target.data() + (from + l) * n);
      for (int64_t b = 0; b < blocks; ++b)
        levels[b].Set(l,
                      LevelsOf(params[spec.ParamIndex(first + l, b * spec.ColumnsPerBlock(n), n)],
                               spec.grid));
    }
    std::vector<const VectorLevels*> by_position;
    for (int64_t begin = 0; begin < n; begin += kPiece) {
      const int64_t end = std::min(n, begin + kPiece);
      by_position.clear();
      for (int64_t p = begin; p < end; ++p)
        by_position.push_back(&levels[factor.order[p] / spec.ColumnsPerBlock(n)]);
      batch.Begin(begin, end);
      batch.Round(by_position);
    }
    ReadCodes(batch, factor, spec, first, lanes, &solution);
  });
  Score(layer, spec, &solution);
  return solution;
}

}  // namespace roundel::solver
