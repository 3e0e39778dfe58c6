#include "core/parallel.h"

#include <fmt/format.h>
#include <mutex>
#include <omp.h>

#include "core/error.h"

#ifdef FILIGREE_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace filigree {

int thread_count() { return omp_get_max_threads(); }

void set_thread_count(int threads) {
  if (threads < 1) {
    throw ConfigError("threads", fmt::format("expected at least 1, got {}", threads));
  }
  omp_set_num_threads(threads);
#ifdef FILIGREE_OPENBLAS
  openblas_set_num_threads(threads);
#endif
}

namespace detail {

void run_parallel(int64_t chunks, void (*body)(void*, int64_t), void* context) {
  if (chunks <= 1 || omp_in_parallel() || omp_get_max_threads() == 1) {
    for (int64_t chunk = 0; chunk < chunks; ++chunk) body(context, chunk);
    return;
  }
  std::exception_ptr failure;
  std::mutex failure_mutex;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    try {
      body(context, chunk);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace detail

}  // namespace filigree
