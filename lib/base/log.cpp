#include "lib/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "lib/base/text.h"

namespace roundel {
namespace {

LogLevel current_level = LogLevel::kNormal;

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        "roundel", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%^%l%$: %v");
    made->set_level(spdlog::level::info);
    return made;
  }();
  return *logger;
}

}  // namespace

void SetLogLevel(LogLevel level) {
  current_level = level;
  Logger().set_level(level == LogLevel::kQuiet    ? spdlog::level::warn
                     : level == LogLevel::kNormal ? spdlog::level::info
                                                  : spdlog::level::debug);
}
LogLevel GetLogLevel() { return current_level; }

// Messages contain names from files: prints one line each, without terminal control characters.
void LogDebug(const std::string& message) { Logger().debug("{}", Printable(message, SIZE_MAX)); }
void LogInfo(const std::string& message) { Logger().info("{}", Printable(message, SIZE_MAX)); }
void LogWarning(const std::string& message) { Logger().warn("{}", Printable(message, SIZE_MAX)); }

}  // namespace roundel
