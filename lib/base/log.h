#pragma once
// Log lines on stderr; stdout is for results. -q and -v set the level.

#include <string>

namespace roundel {

enum class LogLevel { kQuiet, kNormal, kVerbose };  // errors+warnings | +info | +debug

void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();

void LogDebug(const std::string& message);
void LogInfo(const std::string& message);
void LogWarning(const std::string& message);

}  // namespace roundel
