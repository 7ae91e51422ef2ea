#pragma once
// The mean of every layer's input, per channel, for whoever asks.

#include <map>
#include <string>

#include "lib/base/status.h"
#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

// Ensures: session.input_means holds the means of the float model, if there is data. They are
// measured once, together with the ranges if RunContext::expects_input_means says that they will be
// asked for, and dropped when a pass edits the float graph. Errors: those of Observe.
Status EnsureInputMeans(Session& session);
// Adds means, if only none, so that they count as gathered.
void AddInputMeans(const std::map<std::string, quant::InputMean>& means, Session* session);

}  // namespace roundel::calibration
