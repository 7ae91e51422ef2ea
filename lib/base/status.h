#pragma once
// Errors of inputs and of the machine (model, recipe, data, disk) are returned as Status or
// Result<T>; a broken invariant is an INVARIANT (check.h). No exception leaves a room: exceptions
// of third-party libraries are caught where the library is wrapped.

#include <optional>
#include <string>
#include <utility>

#include "lib/base/check.h"

namespace roundel {

// Each kind has one exit code (input_file.h), on which scripts can act.
enum class ErrorKind {
  kOk = 0,
  kInternal,     // 1: a bug, or a failure of the machine (disk full, permission)
  kUsage,        // 2: command line or recipe
  kModel,        // 3: model invalid or not supported
  kData,         // 4: calibration or evaluation data invalid
  kGate,         // 5: work done, but a quality gate failed
  kInterrupted,  // 130
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  bool ok() const { return kind_ == ErrorKind::kOk; }
  ErrorKind kind() const { return kind_; }
  // One line: where, what, and what to do.
  const std::string& message() const { return message_; }
  // Prefixes the message with a place, such as "node 'Conv_3'" or "recipe.yaml:12".
  Status At(const std::string& where) && {
    if (!ok()) message_ = where + ": " + message_;
    return std::move(*this);
  }

 private:
  ErrorKind kind_ = ErrorKind::kOk;
  std::string message_;
};

inline Status OkStatus() { return {}; }
inline Status InternalError(std::string m) { return {ErrorKind::kInternal, std::move(m)}; }
inline Status UsageError(std::string m) { return {ErrorKind::kUsage, std::move(m)}; }
inline Status ModelError(std::string m) { return {ErrorKind::kModel, std::move(m)}; }
inline Status DataError(std::string m) { return {ErrorKind::kData, std::move(m)}; }
inline Status InterruptedError() { return {ErrorKind::kInterrupted, "interrupted"}; }

// A value or the Status that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit on purpose
    INVARIANT(!status_.ok(), "Result made from an ok Status");
  }
  bool ok() const { return status_.ok(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }
  T& value() & {
    INVARIANT(ok(), status_.message());
    return *value_;
  }
  const T& value() const& {
    INVARIANT(ok(), status_.message());
    return *value_;
  }
  T&& value() && {
    INVARIANT(ok(), status_.message());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace roundel

// The only two propagation macros.
#define RETURN_IF_ERROR(expr)                      \
  do {                                             \
    ::roundel::Status status_macro_ = (expr);      \
    if (!status_macro_.ok()) return status_macro_; \
  } while (false)

#define ROUNDEL_CONCAT_INNER_(a, b) a##b
#define ROUNDEL_CONCAT_(a, b) ROUNDEL_CONCAT_INNER_(a, b)
#define ASSIGN_OR_RETURN(lhs, expr)                                      \
  auto ROUNDEL_CONCAT_(result_macro_, __LINE__) = (expr);                \
  if (!ROUNDEL_CONCAT_(result_macro_, __LINE__).ok())                    \
    return std::move(ROUNDEL_CONCAT_(result_macro_, __LINE__)).status(); \
  lhs = std::move(ROUNDEL_CONCAT_(result_macro_, __LINE__)).value()
