#include "core/allocator.h"

#include <bit>
#include <cstdlib>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kSmall = 4096;

/// The size class of a request: see allocate().
int64_t rounded(int64_t bytes) {
  if (bytes <= 0) return kAlignment;
  int64_t step = kAlignment;
  if (bytes > kSmall) step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8;
  return (bytes + step - 1) / step * step;
}

class CachingAllocator {
 public:
  void* allocate(int64_t bytes) {
    if (bytes > INT64_MAX / 2) throw_full(bytes);
    const int64_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    ++stats_.requests;
    void* block = take_cached(size);
    if (!block) block = take_new(size);
    live_[block] = size;
    stats_.in_use += size;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    return block;
  }

  void deallocate(void* block) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(block);
    if (found == live_.end()) return;
    const int64_t size = found->second;
    live_.erase(found);
    free_[size].push_back(block);
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
    void* block = found->second.back();
    found->second.pop_back();
    stats_.cached -= size;
    return block;
  }

  void* take_new(int64_t size) {
    if (limit_ > 0 && stats_.in_use + stats_.cached + size > limit_) release_locked();
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
      for (void* block : blocks) std::free(block);
    }
    free_.clear();
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
  std::map<int64_t, std::vector<void*>> free_;
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
