#include "lib/engine/arena.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>

#include "lib/base/limits.h"
#include "lib/base/text.h"
#include "lib/ops/kernels/common.h"

namespace roundel::engine {
namespace {

constexpr int64_t kAlignment = 64;  // a cache line, and the best alignment for AVX-512
// The number of signatures whose layouts are kept: full batch, last batch, each with and without
// taps.
constexpr size_t kMaxLayouts = 8;
// Layout takes quadratic time in the number of blocks: runs with more allocate each block
// separately.
constexpr size_t kMaxPlannedBlocks = 20000;

int64_t Rounded(int64_t bytes) {
  return (std::max<int64_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

// Large blocks are allocated from the system. In malloc's heap, any small allocation that remains
// after them would keep their memory.
constexpr int64_t kSystemBytes = 1 << 20;
// The maximum memory that malloc may keep of freed small blocks.
constexpr size_t kMaxFree = size_t{32} << 20;

SystemBlock Take(int64_t bytes) {
  if (bytes >= kSystemBytes) return TakeSystemBlock(bytes);
  return {static_cast<char*>(std::aligned_alloc(kAlignment, static_cast<size_t>(bytes))), bytes};
}

void ReturnBlock(const SystemBlock& block) {
  if (block.bytes >= kSystemBytes)
    ReturnSystemBlock(block);
  else
    std::free(block.data);
}

}  // namespace

Arena::~Arena() {
  for (Block& block : blocks_)
    if (block.references > 0) Free(&block);
  DropBuffer();
}

void Arena::Free(Block* block) {
  if (!block->owned) return;
  ReturnBlock(block->memory);
  CountMemory(-block->bytes);
}

void Arena::DropBuffer() {
  if (buffer_.data) ReturnBlock(buffer_);
  CountMemory(-buffer_bytes_);
  buffer_ = {};
  buffer_bytes_ = 0;
}

void Arena::Begin(const std::string& signature, bool record) {
  INVARIANT(live_.empty(), "the last run left blocks behind");
  blocks_.clear();
  events_.clear();
  signature_ = signature;
  record_ = record;
  plan_ = nullptr;
  const auto known = std::find_if(layouts_.begin(), layouts_.end(),
                                  [&](const Layout& l) { return l.signature == signature; });
  if (known == layouts_.end()) return;
  layouts_.splice(layouts_.begin(), layouts_, known);
  plan_ = &layouts_.front();
  if (buffer_bytes_ >= plan_->bytes) return;
  DropBuffer();
  if (CheckMemory(plan_->bytes).ok()) buffer_ = Take(plan_->bytes);
  if (!buffer_.data) {
    plan_ = nullptr;  // then block by block: the live set may fit where the sum does not
    return;
  }
  buffer_bytes_ = plan_->bytes;
  CountMemory(buffer_bytes_);
}

bool Arena::FollowsPlan(Event event) {
  events_.push_back(event);
  if (!plan_) return false;
  if (events_.size() <= plan_->events.size() && plan_->events[events_.size() - 1] == event)
    return true;
  plan_ = nullptr;  // blocks given out so far stay; the rest are allocated separately
  return false;
}

Result<int> Arena::Allocate(int64_t bytes) {
  if (bytes > kMaxTensorBytes)
    return ModelError(StrCat("a value of ", HumanBytes(bytes), " exceeds the limit of ",
                             HumanBytes(kMaxTensorBytes)));
  const int id = static_cast<int>(blocks_.size());
  Block block{.bytes = Rounded(bytes), .references = 1};
  if (FollowsPlan({block.bytes})) {
    block.data = buffer_.data + plan_->offsets[id];
  } else {
    Status status = CheckMemory(block.bytes);
    if (status.ok()) block.memory = Take(block.bytes);
    block.data = block.memory.data;
    if (!block.data) {
      events_.pop_back();
      return status.ok() ? OutOfMemoryError() : status;
    }
    block.owned = true;
    CountMemory(block.bytes);
  }
  blocks_.push_back(block);
  live_.push_back(id);
  return id;
}

void Arena::Release(int id) {
  Block& block = blocks_[id];
  INVARIANT(block.references > 0, "block released twice");
  if (--block.references > 0) return;
  FollowsPlan({-1 - id});
  Free(&block);
  live_.erase(std::find(live_.begin(), live_.end(), id));
}

int Arena::Find(const void* pointer) const {
  const char* p = static_cast<const char*>(pointer);
  for (int id : live_)
    if (p >= blocks_[id].data && p < blocks_[id].data + blocks_[id].bytes) return id;
  return -1;
}

// Greedy by size: large blocks first, each at the lowest offset without overlap with a block that
// is alive at the same time (Pisarchyk and Lee, Efficient memory management for deep neural net
// inference, 2020, section 5.2).
Arena::Layout Arena::MakeLayout() const {
  Layout layout{.signature = signature_, .events = events_};
  const size_t count = blocks_.size();
  std::vector<size_t> birth(count), death(count, events_.size()), order(count);
  size_t next = 0;
  for (size_t e = 0; e < events_.size(); ++e) {
    if (events_[e].bytes >= 0)
      birth[next++] = e;
    else
      death[static_cast<size_t>(-1 - events_[e].bytes)] = e;
  }
  for (size_t i = 0; i < count; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks_[a].bytes > blocks_[b].bytes; });
  layout.offsets.assign(count, 0);
  std::vector<size_t> placed;  // by offset
  for (size_t i : order) {
    int64_t offset = 0;
    for (size_t other : placed) {
      if (birth[other] > death[i] || birth[i] > death[other]) continue;
      if (layout.offsets[other] >= offset + blocks_[i].bytes) break;
      offset = std::max(offset, layout.offsets[other] + blocks_[other].bytes);
    }
    layout.offsets[i] = offset;
    layout.bytes = std::max(layout.bytes, offset + blocks_[i].bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i,
                         [&](size_t a, size_t b) { return layout.offsets[a] < layout.offsets[b]; }),
        i);
  }
  return layout;
}

int64_t Arena::planned_bytes() const {
  int64_t bytes = buffer_bytes_;
  for (const Layout& layout : layouts_) bytes = std::max(bytes, layout.bytes);
  return bytes;
}

void Arena::End(bool complete) {
  INVARIANT(!complete || live_.empty(), "a complete run left blocks behind");
  for (int id : live_) Free(&blocks_[id]);
  live_.clear();
  const bool followed = plan_ && plan_->events.size() == events_.size();
  if (complete && record_ && !followed && blocks_.size() <= kMaxPlannedBlocks) {
    std::erase_if(layouts_, [&](const Layout& l) { return l.signature == signature_; });
    layouts_.push_front(MakeLayout());
    if (layouts_.size() > kMaxLayouts) layouts_.pop_back();
    // Many small blocks of a recorded run are returned to the system.
    if (mallinfo2().fordblks > kMaxFree) malloc_trim(0);
  }
  blocks_.clear();
  plan_ = nullptr;
}

}  // namespace roundel::engine
