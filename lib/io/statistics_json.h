#pragma once
// Statistics files: JSON that can be read and edited by hand. docs/statistics.md describes every
// key.

#include <string>

#include "lib/base/status.h"
#include "lib/quant/calibration_statistics.h"

namespace roundel::io {

// Numbers are written so that they read back to the same bits.
std::string StatisticsJson(const quant::CalibrationStatistics& statistics);

// Errors: kData, "'file': ...", for invalid JSON, an unknown version, missing keys, keys of the
// wrong type, and contradicting counts.
Result<quant::CalibrationStatistics> ParseStatistics(const std::string& json,
                                                     const std::string& source);
Result<quant::CalibrationStatistics> ReadStatistics(const std::string& path);

}  // namespace roundel::io
