#pragma once
// What flows through a model, told without any data: by the batch normalisations that were folded
// (Nagel et al. 2019, Data-free quantization through weight equalization and bias correction, sections
// 4.1.3 and 4.2.1), and by the functions behind them.
//
// Each value is a set of columns [kColumns, channels], as if that many positions of that many images
// had been looked at. A layer's output whose mean and deviation are known is normal, independently by
// channel; functions of single elements are computed as they are, so that what a Clip cuts off is cut
// off, and sums are of independent columns. Of layers behind which no batch normalisation was folded
// nothing is told: what their inputs have in common decides how far their outputs go.

#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

// Statistics of those of `values` of which something is told, and the mean of each layer's input where
// it is (with an empty shape). `input_range`: empty, or the range that the graph's inputs are spread
// over evenly; kUsage if it is none.
Result<quant::CalibrationStatistics> AnalyticStatistics(const Session& session,
                                                        const std::vector<std::string>& values,
                                                        quant::StatisticsNeeds needs,
                                                        const std::vector<double>& input_range);

}  // namespace roundel::calibration
