// Batch: packed samples, and the thread that makes them ahead of time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sample.h"
#include "tasks/dataset/sampler.h"

namespace filigree {

struct SequenceBatch;  // attention/pattern.h

/// B samples in a row, T tokens in all, no padding. A batch knows nothing of models. CPU tensors.
struct Batch {
  int64_t cursor = 0;            // its place in the sampler's order
  Tensor ids;                    // (T) i32
  Tensor positions;              // (T) i32, 0, 1, .. within its sample
  Tensor segments;               // (T) i32, 0 or 1; all 0 without pairs
  Tensor offsets;                // (B+1) i64
  Tensor labels;                 // (B) i32, -1 without labels
  Tensor scores;                 // (B) f32; undefined if the dataset has none
  Tensor token_labels;           // (T) i32, -1: not counted; undefined if the dataset has none
  Tensor spans;                  // (B, 2) i32, first and last token of the answer in its sample;
                                 // undefined if the dataset has none
  Tensor special;                // (T) u8, 1 for [CLS], [SEP] and other special tokens
  Tensor words;                  // (T) i32, word of the token in its sample, -1 for special tokens
  Tensor classes;                // (T) i32, class of the word; undefined if the dataset has none
  Tensor heads;                  // (T) i32, head word; undefined if the dataset has no syntax
  Tensor links;                  // (K, 2) i32, pairs of linked words beyond the heads, sample by
                                 // sample; undefined if the dataset has none
  Tensor link_offsets;           // (B+1) i64, whose they are; undefined with `links`
  Tensor hidden;                 // (R) i32, ascending: tokens that a task has hidden, ..
  Tensor hidden_ids;             // .. and their ids, (R) i32; undefined: none are
  std::vector<int64_t> samples;  // (B) numbers of the samples in the dataset
  SpecialIds specials;           // of the dataset's tokenizer
  int64_t vocabulary = 0;        // ids are below; 0: the batch is of no dataset

  int64_t sequences() const { return static_cast<int64_t>(samples.size()); }
  int64_t tokens() const { return ids.numel(); }
};

/// Packs these samples, in this order. Throws DataError for a number outside the dataset. Cost
/// O(T).
Batch make_batch(const TokenDataset& dataset, std::span<const int64_t> samples, int64_t cursor = 0);

/// A batch of one sample that stands in no dataset. `number`: its place among its like, which keys
/// what is random a sample (`random:r per=example`) as in a dataset.
Batch make_batch(const Sample& sample, int64_t number = 0);

/// What attention patterns look at. The view refers to the batch's memory: keep the batch.
SequenceBatch sequence_view(const Batch& batch);

/// Makes batches in a thread of its own, ahead of their use, in the sampler's order.
class Prefetcher {
 public:
  /// Batches from cursor `first` on, up to but without `end` (-1: for ever), at most `depth` ahead.
  Prefetcher(TokenDataset dataset, Sampler sampler, int64_t first, int64_t end = -1, int depth = 4);
  /// Stops the thread and waits for it.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next batch, nothing at the end. An exception of the thread is thrown here, at the place
  /// of the batch that it concerns (and again at every later call).
  std::optional<Batch> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace filigree
