#pragma once
// Which process works on which job, for processes on one or several machines that share a folder.
//
// A process has a file there, whose time it renews while it lives. A claim is a second name of that
// file: the name of the job. It is void when its process is known to have ended (on this machine),
// or has not renewed the time for a while (anywhere). All times are those of the file system, so
// that the clocks of machines may differ.

#include <cstdint>
#include <set>
#include <string>

#include "lib/base/status.h"

namespace roundel::batch {

class Claims {
 public:
  // `folder` exists. `expiry`: seconds without a sign of life after which a process counts as dead.
  // Removes what dead processes have left. Errors: kInternal.
  static Result<Claims> Open(const std::string& folder, double expiry);
  Claims(Claims&& other) noexcept;
  Claims& operator=(Claims&&) = delete;
  ~Claims();  // gives up all

  // True if the job is this process's now; false if another one, which lives, has it.
  Result<bool> Take(const std::string& job);
  void GiveUp(const std::string& job);
  // Renews the time when it is due. Must be called every few seconds. Errors: kInternal.
  Status Renew();

 private:
  struct Holder;
  Claims() = default;
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  Status MakeProcessFile();
  Result<bool> Create(const std::string& path) const;
  bool IsVoid(const Holder& holder) const;
  void Remove(const std::string& path, const Holder& holder) const;
  void RemoveVoid() const;

  std::string folder_, process_;  // process_: name of this process's file
  std::string text_;              // its contents
  double expiry_ = 0;
  double renewed_ = 0;  // steady clock, seconds
  std::set<std::string> mine_;
};

}  // namespace roundel::batch
