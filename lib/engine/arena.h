#pragma once
// Memory of activations. The first run of a signature allocates blocks one by one and records the
// order of allocations and releases. Later runs place all blocks in one buffer, at offsets such
// that blocks with overlapping lifetimes do not overlap. A run that deviates from the record
// (data-dependent shapes) continues with separate blocks.

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/engine/block_reserve.h"

namespace roundel::engine {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // `signature`: all known inputs of the sizes of a run. `record`: whether such a run is likely to
  // be repeated.
  void Begin(const std::string& signature, bool record = true);
  // A block with one reference, 64-byte aligned. Errors: kModel if it exceeds the remaining memory.
  Result<int> Allocate(int64_t bytes);
  void* Data(int block) const { return blocks_[block].data; }
  int references(int block) const { return blocks_[block].references; }
  void Retain(int block) { ++blocks_[block].references; }
  void Release(int block);
  // The live block that contains `pointer`; -1 if none.
  int Find(const void* pointer) const;
  // Ends the run. `complete`: it ran to its end, so that its record is kept.
  void End(bool complete);

  // The maximum memory of a run of the recorded signatures.
  int64_t planned_bytes() const;

 private:
  struct Block {
    char* data = nullptr;
    int64_t bytes = 0;
    int references = 0;
    SystemBlock memory = {};  // of a block outside of the buffer
    bool owned = false;       // has such memory
  };
  struct Event {
    int64_t bytes = 0;  // of the allocated block; -1 - block for the release of one
    friend bool operator==(const Event&, const Event&) = default;
  };
  struct Layout {
    std::string signature;
    std::vector<Event> events;
    std::vector<int64_t> offsets;  // by block
    int64_t bytes = 0;
  };

  bool FollowsPlan(Event event);
  Layout MakeLayout() const;
  static void Free(Block* block);
  void DropBuffer();

  std::vector<Block> blocks_;
  std::vector<int> live_;
  std::vector<Event> events_;
  std::string signature_;
  bool record_ = true;
  std::list<Layout> layouts_;  // most recently used first
  const Layout* plan_ = nullptr;
  SystemBlock buffer_;
  int64_t buffer_bytes_ = 0;
};

}  // namespace roundel::engine
