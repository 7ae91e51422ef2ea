#pragma once
// What the oneDNN kernels share. The library's exceptions end in the functions that call it: a
// primitive that cannot be made means that the kernel declines.

#include <dnnl.hpp>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/engine/fast/fast_kernel.h"
#include "lib/engine/value.h"

namespace roundel::engine {

const dnnl::engine& OneDnnEngine();
dnnl::stream& OneDnnStream();  // one per thread

using DnnlArguments = std::unordered_map<int, dnnl::memory>;

// A value of logical shape `shape`; any format with `any`.
dnnl::memory::desc LayoutDesc(const Shape& shape, Layout layout, dnnl::memory::data_type type);
dnnl::memory::desc FloatDesc(const Shape& shape, Layout layout);
dnnl::memory::desc AnyFloatDesc(const Shape& shape);
// Explicit strides, in elements.
dnnl::memory::desc StridedFloatDesc(const Shape& shape, const std::vector<int64_t>& strides);
// oneDNN takes sizes as int64 but computes some offsets in int: no dimension may exceed that.
bool DimsFit(const Shape& shape);

// Copies `from`, laid out as `from_desc`, into new memory laid out as `to_desc`.
dnnl::memory Packed(const dnnl::memory::desc& from_desc, const void* from,
                    const dnnl::memory::desc& to_desc);
dnnl::memory Wrap(const dnnl::memory::desc& desc, const void* data);
// The element type of codes of 8 bits.
dnnl::memory::data_type ByteType(const quant::Encoding& encoding);

// Appends an element-wise post-op; false for kinds that oneDNN does not have (kErf) or that are none
// (kAdd).
bool AppendPostOp(dnnl::post_ops* ops, const PostOp& op);
// False for the reference implementations, which are slower than plain kernels.
bool IsFastImplementation(const char* name);

// Memory for a primitive's scratchpad, until the kernel returns; false if there is none.
bool AddScratchpad(FastContext& context, const dnnl::memory::desc& scratchpad,
                   DnnlArguments* arguments);
// Runs the primitive to its end; false if oneDNN failed.
bool Execute(const dnnl::primitive& primitive, const DnnlArguments& arguments);

// What a primitive that runs again and again is given. Memory objects are made once: in the runs that
// follow most of what they describe lies where it lay before.
class BoundArguments {
 public:
  void Set(int argument, const dnnl::memory::desc& desc, const void* data);
  void Set(int argument, const dnnl::memory& memory);
  // Memory until the kernel returns; false if there is none.
  bool SetScratchpad(FastContext& context, const dnnl::memory::desc& scratchpad);
  // As above.
  bool Execute(const dnnl::primitive& primitive) const;

 private:
  struct Bound {
    dnnl::memory memory;
    const void* data;  // null: the memory's own
  };
  // Where the argument stands; the number of arguments if it is new.
  size_t Find(int argument) const;

  std::vector<Bound> bound_;
  std::vector<dnnl_exec_arg_t> arguments_;  // of bound_, in its order
};

// What has been prepared for the last few input shapes.
template <typename T>
class PreparedCache {
 public:
  using Key = std::vector<int64_t>;
  // The entry for `key`, made by make() if it is new.
  template <typename Make>
  T& Get(const Key& key, const Make& make) {
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->first != key) continue;
      entries_.splice(entries_.begin(), entries_, it);
      return it->second;
    }
    entries_.emplace_front(key, make());
    if (entries_.size() > kMaxEntries) entries_.pop_back();
    return entries_.front().second;
  }

 private:
  static constexpr size_t kMaxEntries = 6;  // full and last batch, at a few resolutions
  std::list<std::pair<Key, T>> entries_;
};

// Cache keys hold everything that a primitive depends on: shapes, and the number of threads, which
// oneDNN builds into its work division.
PreparedCache<int>::Key ShapeKey(std::initializer_list<const Shape*> shapes);

}  // namespace roundel::engine
