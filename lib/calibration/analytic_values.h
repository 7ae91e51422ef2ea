#pragma once
// Statistics of a model's values without data, from the folded batch normalizations (Nagel et al.
// 2019, Data-free quantization through weight equalization and bias correction, sections 4.1.3 and
// 4.2.1), and the functions that follow.
//
// Each value is a set of columns [kColumns, channels], like kColumns observed positions of images.
// A layer's output with known mean and deviation is drawn from normal distributions, independently
// per channel. Element-wise functions are applied exactly, including the clipping by a Clip; sums
// are of independent columns. The outputs of layers without a folded batch normalization are
// unknown, because they depend on the correlation of the inputs.

#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

// Statistics of those of `values` that are known, and the means of layer inputs, where known (with
// an empty shape). `input_range`: empty, or the range of a uniform distribution of the graph's
// inputs. Errors: kUsage if it is no range.
Result<quant::CalibrationStatistics> AnalyticStatistics(const Session& session,
                                                        const std::vector<std::string>& values,
                                                        quant::StatisticsNeeds needs,
                                                        const std::vector<double>& input_range);

}  // namespace roundel::calibration
