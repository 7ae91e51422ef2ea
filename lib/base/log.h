#pragma once
// Log lines for people, on stderr; stdout belongs to results. Levels follow -q / -v.

#include <string>

namespace roundel {

enum class LogLevel { kQuiet, kNormal, kVerbose };  // errors+warnings | +info | +debug

void SetLogLevel(LogLevel level);
LogLevel GetLogLevel();

void LogDebug(const std::string& message);
void LogInfo(const std::string& message);
void LogWarning(const std::string& message);

}  // namespace roundel
