#pragma once
// Whether a model computes every sample of a batch by itself.

#include "lib/engine/plan.h"

namespace roundel::engine {

// True if axis 0 of every input and output is the batch, open, and no node mixes samples or depends
// on how many there are: a batch may then be run in parts whose outputs, one behind the other, are
// those of the whole. Nodes are judged by a list of operators; false for all others.
bool SamplesAreIndependent(const Plan& plan);

}  // namespace roundel::engine
