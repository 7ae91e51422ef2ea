#pragma once
// A value of two streams as a layer's input.

#include <memory>
#include <string>

#include "lib/walk/layer_inputs.h"
#include "lib/walk/streams.h"

namespace roundel::walk {

// Requires: the value is kept in both streams, which outlive the result.
std::unique_ptr<LayerInputs> InputsFrom(const Streams& streams, const std::string& value);

}  // namespace roundel::walk
