#include "attention/sequence_key.h"

#include <cstring>
#include <vector>

namespace filigree {

namespace {

/// Appends the number of the items, so that no two contents look alike, and the items.
template <class T>
void append(std::span<const T> items, std::vector<std::byte>& bytes) {
  const uint64_t count = items.size();
  const size_t at = bytes.size();
  bytes.resize(at + sizeof(count) + items.size_bytes());
  std::memcpy(bytes.data() + at, &count, sizeof(count));
  if (count > 0) std::memcpy(bytes.data() + at + sizeof(count), items.data(), items.size_bytes());
}

}  // namespace

ContentHash sequence_key(const SequenceView& view, unsigned reads, uint64_t seed) {
  thread_local std::vector<std::byte> bytes;
  bytes.clear();
  const uint64_t numbers[] = {static_cast<uint64_t>(view.length), seed,
                              (reads & kReadsSample) != 0 ? view.sample : 0};
  append(std::span<const uint64_t>(numbers), bytes);
  if (reads & kReadsIds) append(view.ids, bytes);
  if (reads & kReadsSpecial) append(view.special, bytes);
  if (reads & kReadsClasses) append(view.classes, bytes);
  if (reads & kReadsTrees) {
    append(view.words, bytes);
    append(view.heads, bytes);
    append(view.links, bytes);
  }
  return content_hash(bytes);
}

}  // namespace filigree
