#include "core/allocator.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "core/device_backend.h"
#include "core/error.h"

namespace filigree {

namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kSmall = 4096;
constexpr int64_t kAlwaysCached = int64_t{64} << 20;
constexpr size_t kHoldersShown = 4;

/// The size class of a request: see allocate().
int64_t rounded(int64_t bytes) {
  if (bytes <= 0) return kAlignment;
  int64_t step = kAlignment;
  if (bytes > kSmall) step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(bytes))) / 8;
  return (bytes + step - 1) / step * step;
}

/// Where the allocator of a device gets its blocks from.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  /// Null if there is no memory left.
  virtual void* get(int64_t bytes) = 0;
  virtual void give_back(void* block) noexcept = 0;
  /// True if getting and giving back are so dear that blocks are kept until memory runs out.
  virtual bool keeps() const { return false; }
  /// What the system says of the memory, for errors; "" for nothing.
  virtual std::string state() { return {}; }
};

class HostBlocks final : public BlockSource {
 public:
  void* get(int64_t bytes) override {
    return std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(bytes));
  }
  void give_back(void* block) noexcept override { std::free(block); }
};

class DeviceBlocks final : public BlockSource {
 public:
  explicit DeviceBlocks(Device device) : device_(device) { backend_of(device); }
  void* get(int64_t bytes) override { return backend_of(device_).allocate(device_.index, bytes); }
  void give_back(void* block) noexcept override { cuda_backend()->release(device_.index, block); }
  bool keeps() const override { return true; }
  std::string state() override {
    DeviceBackend& backend = backend_of(device_);
    return fmt::format("; {} has {} of {} free", name_of(device_),
                       human_bytes(backend.free_bytes(device_.index)),
                       human_bytes(backend.total_bytes(device_.index)));
  }

 private:
  Device device_;
};

/// The blocks of one size.
struct SizeClass {
  std::vector<void*> free;  // has room for all, so that freeing needs no memory
  int64_t blocks = 0;       // free and live
};

class CachingAllocator {
 public:
  explicit CachingAllocator(std::unique_ptr<BlockSource> source) : source_(std::move(source)) {}

  void* allocate(int64_t bytes) {
    if (bytes > INT64_MAX / 2) throw_full(bytes);
    const int64_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    ++stats_.requests;
    void* block = nullptr;
    try {
      SizeClass& of_size = sizes_[size];
      block = take_cached(of_size, size);
      if (!block) block = take_new(of_size, size);
      live_[block] = size;
    } catch (const std::bad_alloc&) {
      if (block) free_now(block, size);
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
    sizes_.find(size)->second.free.push_back(block);
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
  void* take_cached(SizeClass& of_size, int64_t size) {
    if (of_size.free.empty()) return nullptr;
    stats_.cached -= size;
    void* block = of_size.free.back();
    of_size.free.pop_back();
    return block;
  }

  void* take_new(SizeClass& of_size, int64_t size) {
    if (of_size.free.capacity() <= static_cast<size_t>(of_size.blocks)) {
      of_size.free.reserve(static_cast<size_t>(2 * of_size.blocks + 4));
    }
    const int64_t held = stats_.in_use + stats_.cached + size;
    // Sizes that never come back (sequences of ever other lengths) must not pile up.
    if (!source_->keeps() && held > highest_ + highest_ / 4 + kAlwaysCached) release_locked();
    if (limit_ > 0 && held > limit_) release_locked();
    if (limit_ > 0 && stats_.in_use + size > limit_) throw_full(size);
    void* block = source_->get(size);
    if (!block) {
      release_locked();
      block = source_->get(size);
    }
    if (!block) throw_full(size);
    ++of_size.blocks;
    ++stats_.system_calls;
    return block;
  }

  void free_now(void* block, int64_t size) noexcept {
    source_->give_back(block);
    --sizes_.find(size)->second.blocks;
  }

  void release_locked() {
    for (auto& [size, of_size] : sizes_) {
      while (!of_size.free.empty()) {
        free_now(of_size.free.back(), size);
        of_size.free.pop_back();
      }
    }
    stats_.cached = 0;
  }

  /// "3 x 1.0 GiB, 12 x 256.0 MiB, ..": the sizes that hold most.
  std::string top_holders() const {
    std::vector<std::pair<int64_t, int64_t>> holders;  // bytes in all, of one
    for (const auto& [size, of_size] : sizes_) {
      const int64_t live = of_size.blocks - static_cast<int64_t>(of_size.free.size());
      if (live > 0) holders.emplace_back(live * size, size);
    }
    std::ranges::sort(holders, std::greater());
    if (holders.size() > kHoldersShown) holders.resize(kHoldersShown);
    std::string text;
    for (const auto& [all, one] : holders) {
      text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", all / one, human_bytes(one));
    }
    return text;
  }

  [[noreturn]] void throw_full(int64_t bytes) const {
    throw MemoryError(
        "memory",
        fmt::format("cannot get {} ({} in use, {} cached{}{}{})", human_bytes(bytes),
                    human_bytes(stats_.in_use), human_bytes(stats_.cached),
                    limit_ > 0 ? ", limit " + human_bytes(limit_) : "", source_->state(),
                    stats_.in_use > 0 ? "; most of it: " + top_holders() : ""),
        "use fewer tokens a batch, a shorter sequence, a smaller model, or activation "
        "recomputation");
  }

  std::unique_ptr<BlockSource> source_;
  std::mutex mutex_;
  MemoryStats stats_;
  int64_t limit_ = 0;
  int64_t highest_ = 0;  // largest in_use ever
  std::map<int64_t, SizeClass> sizes_;
  std::unordered_map<void*, int64_t> live_;
};

/// Never destroyed: tensors with static lifetime may outlive every other static object.
CachingAllocator& allocator_of(Device device) {
  static auto* host = new CachingAllocator(std::make_unique<HostBlocks>());
  if (device.is_cpu()) return *host;
  static std::mutex mutex;
  static auto* devices = new std::map<int, CachingAllocator>;
  const std::lock_guard lock(mutex);
  if (const auto found = devices->find(device.index); found != devices->end()) {
    return found->second;
  }
  return devices->try_emplace(device.index, std::make_unique<DeviceBlocks>(device)).first->second;
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
