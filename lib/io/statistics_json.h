#pragma once
// Files of calibration statistics: JSON, for programs and for people to look into and to correct.
// docs/statistics.md describes every key.

#include <string>

#include "lib/base/status.h"
#include "lib/quant/calibration_statistics.h"

namespace roundel::io {

// Numbers are written so that they read back to the same bits.
std::string StatisticsJson(const quant::CalibrationStatistics& statistics);

// All errors of the contents are kData, "'file': ...": no JSON, an unknown version, keys that are
// missing or of the wrong type, counts that contradict each other.
Result<quant::CalibrationStatistics> ParseStatistics(const std::string& json,
                                                     const std::string& source);
Result<quant::CalibrationStatistics> ReadStatistics(const std::string& path);

}  // namespace roundel::io
