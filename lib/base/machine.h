#pragma once
// The share of the machine that this process may use: what the scheduler, the container and the
// caller have granted.

#include <cstdint>
#include <functional>
#include <string>

namespace roundel {

// Where the limits are read; others for tests.
struct MachineFiles {
  std::string cgroup_of_process = "/proc/self/cgroup";
  std::string cgroups = "/sys/fs/cgroup";            // version 2
  std::function<std::string(const char*)> variable;  // "" if unset; nullptr: the environment
};

// The least of: the processors of the affinity mask, the quota cpu.max of the process's cgroup and
// of those around it, and SLURM_CPUS_PER_TASK. At least 1.
int UsableThreads(const MachineFiles& files = {});

// The least of, in bytes: the memory of the machine, memory.max of the same cgroups, and
// SLURM_MEM_PER_NODE, or SLURM_MEM_PER_CPU times the processors of the task.
int64_t UsableMemory(const MachineFiles& files = {});

}  // namespace roundel
