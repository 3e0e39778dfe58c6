// Caching allocator: freed blocks are kept for the next request, so that a training step allocates
// nothing from the system once it is warm. What is kept is bounded: held and cached together never
// exceed the most that was ever in use by more than a quarter and 64 MiB. On a device, where
// freeing waits for all its work, everything is kept until memory runs out.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"

namespace filigree {

/// Counters of one device's allocator. Sizes in bytes.
struct MemoryStats {
  int64_t in_use = 0;        ///< held by live tensors (rounded sizes)
  int64_t peak = 0;          ///< largest in_use since the start or reset_peak()
  int64_t cached = 0;        ///< freed by tensors, kept for reuse
  int64_t system_calls = 0;  ///< how often the system was asked for memory
  int64_t requests = 0;      ///< how often a tensor asked
};

/// Gives 64-byte-aligned blocks, rounded up to 64 bytes below 4 KiB and to an eighth of their
/// power of two above (at most 12.5 % waste), so that sizes recur. Thread-safe.
/// Throws MemoryError naming the size, what is in use and what to do.
void* allocate(Device device, int64_t bytes);
void deallocate(Device device, void* block) noexcept;

MemoryStats memory_stats(Device device = kCpu);
/// Sets `peak` to what is in use now.
void reset_peak(Device device = kCpu);
/// Gives cached blocks back to the system.
void release_cached(Device device = kCpu);
/// Upper bound on in_use + cached in bytes, 0 for none: past it allocate() throws MemoryError. For
/// tests of the out-of-memory path and for shared machines.
void set_memory_limit(int64_t bytes, Device device = kCpu);

/// "1.5 GiB".
std::string human_bytes(int64_t bytes);

}  // namespace filigree
