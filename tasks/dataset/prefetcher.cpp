#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "tasks/dataset/batch.h"

namespace filigree {

struct Prefetcher::State {
  State(TokenDataset d, Sampler s, int64_t first, int64_t end, int depth)
      : dataset(std::move(d)), sampler(std::move(s)), cursor(first), end(end) {
    limit = static_cast<size_t>(std::max(depth, 1));
    thread = std::thread([this] { work(); });
  }

  void work() {
    while (end < 0 || cursor < end) {
      try {
        Batch batch = make_batch(dataset, sampler.batch(cursor), cursor);
        ++cursor;
        std::unique_lock lock(mutex);
        changed.wait(lock, [this] { return stopping || ready.size() < limit; });
        if (stopping) return;
        ready.push_back(std::move(batch));
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
      changed.notify_all();
      if (failure) return;
    }
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  }

  TokenDataset dataset;
  Sampler sampler;
  int64_t cursor, end;  // the thread's alone
  size_t limit;

  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::deque<Batch> ready;
  std::exception_ptr failure;
  bool done = false, stopping = false;
  std::thread thread;
};

Prefetcher::Prefetcher(TokenDataset dataset, Sampler sampler, int64_t first, int64_t end, int depth)
    : state_(std::make_unique<State>(std::move(dataset), std::move(sampler), first, end, depth)) {}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

std::optional<Batch> Prefetcher::next() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(
      lock, [this] { return !state_->ready.empty() || state_->failure || state_->done; });
  if (state_->ready.empty()) {
    if (state_->failure) std::rethrow_exception(state_->failure);
    return std::nullopt;
  }
  Batch batch = std::move(state_->ready.front());
  state_->ready.pop_front();
  lock.unlock();
  state_->changed.notify_all();
  return batch;
}

}  // namespace filigree
