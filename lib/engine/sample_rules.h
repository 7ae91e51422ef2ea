#pragma once
// Which operators compute each sample of a batch by itself.

#include "lib/engine/sample_facts.h"

namespace roundel::engine {

// Whether the node computes each sample from the same sample of its inputs. Notes the ranks of its
// outputs. Operators without a rule are taken to mix samples.
bool KeepsSamplesApart(SampleFacts& s, const PlanNode& n);

}  // namespace roundel::engine
