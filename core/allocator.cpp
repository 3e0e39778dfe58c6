#include "core/allocator.h"

#include <bit>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kSmall = 4096;
constexpr int64_t kAlwaysCached = int64_t{64} << 20;

/// The size class of a request: see allocate().
int64_t rounded(int64_t bytes) {
  if (bytes <= 0) return kAlignment;
  int64_t step = kAlignment;
  if (bytes > kSmall) step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8;
  return (bytes + step - 1) / step * step;
}

/// Freed blocks of one size, chained through their own first bytes: freeing needs no memory.
class FreeList {
 public:
  bool empty() const { return first_ == nullptr; }
  void push(void* block) noexcept { first_ = new (block) Link{first_}; }
  void* pop() noexcept {
    Link* taken = first_;
    first_ = taken->next;
    return taken;
  }

 private:
  struct Link {
    Link* next;
  };
  Link* first_ = nullptr;
};

class CachingAllocator {
 public:
  void* allocate(int64_t bytes) {
    if (bytes > INT64_MAX / 2) throw_full(bytes);
    const int64_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    ++stats_.requests;
    void* block = take_cached(size);
    if (!block) block = take_new(size);
    try {
      live_[block] = size;
      free_.try_emplace(size);  // here, so that freeing cannot fail
    } catch (const std::bad_alloc&) {
      live_.erase(block);
      std::free(block);
      throw_full(bytes);
    }
    stats_.in_use += size;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    highest_ = std::max(highest_, stats_.in_use);
    return block;
  }

  void deallocate(void* block) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(block);
    if (found == live_.end()) return;
    const int64_t size = found->second;
    live_.erase(found);
    free_.find(size)->second.push(block);
    stats_.in_use -= size;
    stats_.cached += size;
  }

  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak = stats_.in_use;
  }
  void release_cached() {
    const std::lock_guard lock(mutex_);
    release_locked();
  }
  void set_limit(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

 private:
  void* take_cached(int64_t size) {
    const auto found = free_.find(size);
    if (found == free_.end() || found->second.empty()) return nullptr;
    stats_.cached -= size;
    return found->second.pop();
  }

  void* take_new(int64_t size) {
    const int64_t held = stats_.in_use + stats_.cached + size;
    // Sizes that never come back (sequences of ever other lengths) must not pile up.
    if (held > highest_ + highest_ / 4 + kAlwaysCached) release_locked();
    if (limit_ > 0 && held > limit_) release_locked();
    if (limit_ > 0 && stats_.in_use + size > limit_) throw_full(size);
    void* block = std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(size));
    if (!block) {
      release_locked();
      block = std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(size));
    }
    if (!block) throw_full(size);
    ++stats_.system_calls;
    return block;
  }

  void release_locked() {
    for (auto& [size, blocks] : free_) {
      while (!blocks.empty()) std::free(blocks.pop());
    }
    stats_.cached = 0;
  }

  [[noreturn]] void throw_full(int64_t bytes) const {
    throw MemoryError(
        "memory",
        fmt::format("cannot get {} ({} in use, {} cached{})", human_bytes(bytes),
                    human_bytes(stats_.in_use), human_bytes(stats_.cached),
                    limit_ > 0 ? ", limit " + human_bytes(limit_) : ""),
        "use fewer tokens a batch, a shorter sequence, a smaller model, or activation "
        "recomputation");
  }

  std::mutex mutex_;
  MemoryStats stats_;
  int64_t limit_ = 0;
  int64_t highest_ = 0;  // largest in_use ever
  std::map<int64_t, FreeList> free_;
  std::unordered_map<void*, int64_t> live_;
};

CachingAllocator& allocator_of(Device device) {
  if (!device.is_cpu()) {
    throw DeviceError("memory", fmt::format("{} is not in this build", name_of(device)),
                      "build with -DFILIGREE_CUDA=ON, or use --device cpu");
  }
  // Never destroyed: tensors with static lifetime may outlive every other static object.
  static auto* allocator = new CachingAllocator;
  return *allocator;
}

}  // namespace

void* allocate(Device device, int64_t bytes) { return allocator_of(device).allocate(bytes); }
void deallocate(Device device, void* block) noexcept { allocator_of(device).deallocate(block); }
MemoryStats memory_stats(Device device) { return allocator_of(device).stats(); }
void reset_peak(Device device) { allocator_of(device).reset_peak(); }
void release_cached(Device device) { allocator_of(device).release_cached(); }
void set_memory_limit(int64_t bytes, Device device) { allocator_of(device).set_limit(bytes); }

std::string human_bytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace filigree
