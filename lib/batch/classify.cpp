#include "lib/batch/classify.h"

#include <csignal>
#include <cstring>

#include "lib/base/input_file.h"
#include "lib/base/text.h"

namespace roundel::batch {
namespace {

constexpr size_t kLongestMessage = 1000;

// The last line that says what went wrong; "" if there is none.
std::string ErrorLine(const std::string& log) {
  constexpr std::string_view kError = "error: ", kInvariant = "roundel: internal error";
  std::string found;
  for (const std::string& line : Split(log, '\n')) {
    if (line.starts_with(kError)) found = line.substr(kError.size());
    if (line.starts_with(kInvariant)) found = line;
  }
  return Printable(found, kLongestMessage);
}

bool Has(const std::string& message, std::string_view words) {
  return message.find(words) != std::string::npos;
}

}  // namespace

std::string KindOf(int exit_code, const std::string& message) {
  if (exit_code != 0 && exit_code != 5 && Has(message, "out of memory")) return "memory";
  switch (exit_code) {
    case 0: return "ok";
    case ExitCode(ErrorKind::kUsage): return "usage";
    case ExitCode(ErrorKind::kModel): return "model";
    case ExitCode(ErrorKind::kData): return "data";
    case ExitCode(ErrorKind::kGate): return "gate";
    case ExitCode(ErrorKind::kInterrupted): return "interrupted";
    default: break;
  }
  for (const char* words : {"cannot write", "cannot read", "cannot be made", "cannot start"})
    if (exit_code == 1 && Has(message, words)) return "io";
  return "crash";
}

void Classify(const ChildEnd& end, const std::string& log, JobResult* result) {
  result->exit_code = end.exit_code;
  result->seconds = end.seconds;
  result->peak_memory = end.peak_memory;
  result->message = ErrorLine(log);
  const bool done = end.exit_code == 0 || end.exit_code == ExitCode(ErrorKind::kGate);
  if (end.oom_killed && !done) {
    result->kind = "memory";
    result->message =
        "the system ran out of memory and ended the job; lower --jobs, or give 'memory' in the "
        "manifest";
  } else if (end.over_memory && !done) {
    result->kind = "memory";
    result->message = "the job used more memory than its limit; raise 'memory' in the manifest";
  } else if (end.timed_out && !done) {
    result->kind = "timeout";
    result->message = "the job took longer than its limit; raise 'timeout' in the manifest";
  } else if (end.stopped && !done) {
    result->kind = "interrupted";
    result->message = "interrupted";
  } else if (end.signal != 0) {
    result->kind = end.signal == SIGTERM || end.signal == SIGINT ? "interrupted" : "crash";
    if (result->message.empty())
      result->message =
          StrCat("the process was ended by signal ", end.signal, " (", strsignal(end.signal), ")");
  } else {
    result->kind = KindOf(end.exit_code, result->message);
    if (result->message.empty() && !done)
      result->message = StrCat("the process ended with exit code ", end.exit_code);
  }
}

std::span<const Kind> Kinds() {
  static constexpr Kind kKinds[] = {
      {"ok", ErrorKind::kOk},           {"gate", ErrorKind::kGate},
      {"usage", ErrorKind::kUsage},     {"model", ErrorKind::kModel},
      {"data", ErrorKind::kData},       {"io", ErrorKind::kInternal},
      {"memory", ErrorKind::kInternal}, {"timeout", ErrorKind::kInternal},
      {"crash", ErrorKind::kInternal},  {"interrupted", ErrorKind::kInterrupted}};
  return kKinds;
}

ErrorKind ErrorOf(const JobResult& result) {
  for (const Kind& kind : Kinds())
    if (result.kind == kind.name) return kind.error;
  return ErrorKind::kInternal;
}

}  // namespace roundel::batch
