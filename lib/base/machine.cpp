#include "lib/base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <vector>

#include "lib/base/text.h"

namespace roundel {
namespace {

std::string Variable(const MachineFiles& files, const char* name) {
  if (files.variable) return files.variable(name);
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A whole number above 0; nullopt for "max", "", "0" and anything else.
std::optional<int64_t> Limit(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
  return value;
}

// The folders of the process's cgroup and of those around it: each of them limits it. In a
// container the root is that of the container.
std::vector<std::string> CgroupFolders(const MachineFiles& files) {
  std::vector<std::string> folders = {files.cgroups};
  std::ifstream file(files.cgroup_of_process);
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kVersion2 = "0::/";
    if (!line.starts_with(kVersion2)) continue;
    std::string folder = files.cgroups;
    for (const std::string& part : Split(line.substr(kVersion2.size()), '/')) {
      if (part.empty() || part == "..") continue;
      folder += "/" + part;
      folders.push_back(folder);
    }
  }
  return folders;
}

// The words of the first line of a file.
std::vector<std::string> FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return Split(line, ' ');
}

int AffinityThreads() {
  // A mask of the usual size is too small for machines with more than 1024 processors.
  for (int processors = 1024; processors <= 1 << 20; processors *= 4) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(processors));
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(processors));
    const bool known = set != nullptr && sched_getaffinity(0, bytes, set) == 0;
    const int count = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

int UsableThreads(const MachineFiles& files) {
  int64_t threads = AffinityThreads();
  for (const std::string& folder : CgroupFolders(files)) {
    // "max 100000", or the microseconds of processor time per period.
    const std::vector<std::string> words = FirstLine(folder + "/cpu.max");
    if (words.size() != 2) continue;
    const auto quota = Limit(words[0]), period = Limit(words[1]);
    if (quota && period) threads = std::min(threads, (*quota + *period - 1) / *period);
  }
  if (const auto granted = Limit(Variable(files, "SLURM_CPUS_PER_TASK")))
    threads = std::min(threads, *granted);
  return static_cast<int>(std::max<int64_t>(1, threads));
}

int64_t UsableMemory(const MachineFiles& files) {
  constexpr int64_t kMegabyte = 1 << 20;  // the unit of Slurm
  int64_t bytes = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  for (const std::string& folder : CgroupFolders(files))
    if (const auto limit = Limit(FirstLine(folder + "/memory.max")[0]))
      bytes = std::min(bytes, *limit);
  const auto granted = [&](const char* name, int64_t times) {
    const auto megabytes = Limit(Variable(files, name));
    if (megabytes && *megabytes < INT64_MAX / kMegabyte / times)
      bytes = std::min(bytes, *megabytes * kMegabyte * times);
  };
  granted("SLURM_MEM_PER_NODE", 1);
  granted("SLURM_MEM_PER_CPU", Limit(Variable(files, "SLURM_CPUS_PER_TASK")).value_or(1));
  return bytes;
}

}  // namespace roundel
