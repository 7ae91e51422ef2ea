#pragma once
// Memory of activations. The first run of a signature allocates each block by itself and records
// the order of allocations and releases; from then on the blocks of such a run lie in one buffer,
// at offsets at which blocks that live at the same time never overlap. A run that turns out to
// allocate otherwise than recorded (data-dependent shapes) continues with blocks of its own.

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

  // `signature`: everything that the sizes of a run depend on, as far as known beforehand. `record`:
  // whether such a run is likely to come again.
  void Begin(const std::string& signature, bool record = true);
  // A block with one reference, 64-byte aligned; kModel if it is larger than the memory that is left.
  Result<int> Allocate(int64_t bytes);
  void* Data(int block) const { return blocks_[block].data; }
  int references(int block) const { return blocks_[block].references; }
  void Retain(int block) { ++blocks_[block].references; }
  void Release(int block);
  // The live block that `pointer` points into; -1 if none.
  int Find(const void* pointer) const;
  // Ends the run; `complete` if it ran to its end, so that its record is worth keeping.
  void End(bool complete);

  // What runs of the signatures known so far take, at most.
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
