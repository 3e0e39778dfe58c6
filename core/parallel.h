// OpenMP helpers with a fixed partition of the work.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

namespace filigree {

/// Threads a parallel region uses (OMP_NUM_THREADS or the number of cores).
int thread_count();
/// Sets it, for OpenBLAS too (one pool). Throws ConfigError below 1.
void set_thread_count(int threads);

namespace detail {
void run_parallel(int64_t chunks, void (*body)(void*, int64_t), void* context);
}

/// Calls body(first, last) for consecutive ranges of [0, count) of `grain` items (the last may be
/// shorter), on all threads. The ranges depend on count and grain alone, never on the number of
/// threads: a reduction that keeps one partial result a range and adds these in order gives the
/// same bits on any number of threads. Exceptions are carried to the caller. Serial when nested.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t chunks = (count + grain - 1) / grain;
  auto call = [&](int64_t chunk) { body(chunk * grain, std::min(count, (chunk + 1) * grain)); };
  detail::run_parallel(
      chunks, [](void* context, int64_t chunk) { (*static_cast<decltype(call)*>(context))(chunk); },
      &call);
}

/// Calls body(i) for every i in [0, count).
template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body) {
  parallel_ranges(count, grain, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) body(i);
  });
}

}  // namespace filigree
