#include "lib/base/machine.h"

#include <sched.h>
#include <unistd.h>

#include <map>

#include "tests/support/catch.h"
#include "tests/support/process.h"

using namespace roundel;
using support::TempFolder;

namespace {

struct FakeMachine {
  TempFolder folder;
  std::map<std::string, std::string> variables;

  MachineFiles Files() const {
    return {.cgroup_of_process = folder / "cgroup",
            .cgroups = folder / "fs",
            .variable = [this](const char* name) {
              const auto found = variables.find(name);
              return found == variables.end() ? std::string() : found->second;
            }};
  }
  int Threads() const { return UsableThreads(Files()); }
  int64_t Memory() const { return UsableMemory(Files()); }
};

constexpr int64_t kMebibyte = 1 << 20;

}  // namespace

TEST_CASE("without limits the whole machine may be used") {
  const FakeMachine machine;
  CHECK(machine.Memory() == static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE));
  CHECK(machine.Threads() >= 1);
  CHECK(machine.Threads() <= sysconf(_SC_NPROCESSORS_CONF));
}

TEST_CASE("a child with one processor has one thread") {
  const FakeMachine machine;
  CHECK(support::InChild([&] {
          cpu_set_t set;
          sched_getaffinity(0, sizeof set, &set);
          int first = 0;
          while (!CPU_ISSET(first, &set)) ++first;
          CPU_ZERO(&set);
          CPU_SET(first, &set);
          sched_setaffinity(0, sizeof set, &set);
          return machine.Threads();
        }) == 1);
}

TEST_CASE("limits of the cgroup and of those around it hold") {
  const FakeMachine machine;
  machine.folder.Write("cgroup", "12:cpu:/old\n0::/slice/job.scope\n");
  machine.folder.Write("fs/slice/memory.max", "67108864\n");
  machine.folder.Write("fs/slice/job.scope/memory.max", "max\n");
  machine.folder.Write("fs/slice/job.scope/cpu.max", "max 100000\n");
  CHECK(machine.Memory() == 64 * kMebibyte);
  machine.folder.Write("fs/slice/job.scope/memory.max", "33554432\n");
  CHECK(machine.Memory() == 32 * kMebibyte);
  machine.folder.Write("fs/slice/cpu.max", "50000 100000\n");
  CHECK(machine.Threads() == 1);  // half a processor is one thread
  machine.folder.Write("fs/memory.max", "1048576\n");
  CHECK(machine.Memory() == kMebibyte);
}

TEST_CASE("a quota of more processors than there are changes nothing") {
  const FakeMachine machine;
  const int all = machine.Threads();
  machine.folder.Write("fs/cpu.max", "100000000 100000\n");
  CHECK(machine.Threads() == all);
}

TEST_CASE("what Slurm grants holds, and its zero means all") {
  FakeMachine machine;
  const int64_t all = machine.Memory();
  machine.variables = {{"SLURM_CPUS_PER_TASK", "1"}, {"SLURM_MEM_PER_NODE", "100"}};
  CHECK(machine.Threads() == 1);
  CHECK(machine.Memory() == 100 * kMebibyte);
  machine.variables = {{"SLURM_CPUS_PER_TASK", "3"}, {"SLURM_MEM_PER_CPU", "10"}};
  CHECK(machine.Memory() == 30 * kMebibyte);
  machine.variables = {{"SLURM_MEM_PER_NODE", "0"}};
  CHECK(machine.Memory() == all);
}

TEST_CASE("files and variables that say something else are ignored") {
  FakeMachine machine;
  const int64_t all = machine.Memory();
  const int threads = machine.Threads();
  machine.folder.Write("cgroup", "0::/../../etc\nnonsense\n\n");
  for (const char* text : {"", "-5", "lots", "99999999999999999999", "1 2 3", "0"}) {
    machine.folder.Write("fs/memory.max", text == std::string("1 2 3") ? "x 1" : text);
    machine.folder.Write("fs/cpu.max", text);
    machine.variables = {{"SLURM_CPUS_PER_TASK", text}, {"SLURM_MEM_PER_NODE", "-3"}};
    CHECK(machine.Memory() == all);
    CHECK(machine.Threads() == threads);
  }
}
