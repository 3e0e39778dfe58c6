#include "attention/runs.h"

namespace filigree {

void unite(std::span<const Run> a, std::span<const Run> b, Runs& out) {
  out.clear();
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    const bool from_a = j == b.size() || (i < a.size() && a[i].lo <= b[j].lo);
    const Run& next = from_a ? a[i++] : b[j++];
    append_run(out, next.lo, next.hi);
  }
}

void intersect(std::span<const Run> a, std::span<const Run> b, Runs& out) {
  out.clear();
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    append_run(out, std::max(a[i].lo, b[j].lo), std::min(a[i].hi, b[j].hi));
    (a[i].hi < b[j].hi ? i : j)++;
  }
}

void subtract(std::span<const Run> a, std::span<const Run> b, Runs& out) {
  out.clear();
  size_t j = 0;
  for (const Run& run : a) {
    int32_t lo = run.lo;
    while (j < b.size() && b[j].hi <= lo) ++j;
    for (size_t k = j; k < b.size() && b[k].lo < run.hi; ++k) {
      append_run(out, lo, b[k].lo);
      lo = std::max(lo, b[k].hi);
    }
    append_run(out, lo, run.hi);
  }
}

namespace {
std::vector<Runs>& scratch_pool() {
  thread_local std::vector<Runs> pool;
  return pool;
}
}  // namespace

ScratchRuns::ScratchRuns() {
  std::vector<Runs>& pool = scratch_pool();
  if (pool.empty()) return;
  runs_.swap(pool.back());
  pool.pop_back();
  runs_.clear();
}

ScratchRuns::~ScratchRuns() { scratch_pool().push_back(std::move(runs_)); }

int64_t size_of(const Runs& runs) {
  int64_t size = 0;
  for (const Run& run : runs) size += run.hi - run.lo;
  return size;
}

}  // namespace filigree
