#include "tasks/dataset/batch.h"

#include <algorithm>
#include <numeric>

#include "attention/placement.h"

namespace filigree {

namespace {

/// 1 for [CLS], [SEP] and the like, which belong to no word; an unknown word is a word.
void mark_special(Batch& batch) {
  batch.special = Tensor(batch.words.shape(), DType::u8);
  std::ranges::transform(std::as_const(batch.words).span<int32_t>(), batch.special.data<uint8_t>(),
                         [](int32_t word) { return static_cast<uint8_t>(word < 0); });
}

}  // namespace

Batch make_batch(const TokenDataset& dataset, std::span<const int64_t> samples, int64_t cursor) {
  Batch batch;
  batch.cursor = cursor;
  batch.samples.assign(samples.begin(), samples.end());
  batch.specials = dataset.info().specials;
  batch.vocabulary = dataset.info().vocabulary;
  const auto count = static_cast<int64_t>(samples.size());
  batch.offsets = Tensor({count + 1}, DType::i64);
  batch.labels = Tensor({count}, DType::i32);
  int64_t* offsets = batch.offsets.data<int64_t>();
  offsets[0] = 0;
  for (int64_t b = 0; b < count; ++b) {
    offsets[b + 1] = offsets[b] + dataset.length(samples[static_cast<size_t>(b)]);
  }
  const Shape tokens{offsets[count]};
  batch.ids = Tensor(tokens, DType::i32);
  batch.positions = Tensor(tokens, DType::i32);
  batch.segments = Tensor::zeros(tokens, DType::i32);
  batch.words = Tensor(tokens, DType::i32);
  if (dataset.has_scores()) batch.scores = Tensor({count}, DType::f32);
  if (dataset.has_token_labels()) batch.token_labels = Tensor(tokens, DType::i32);
  if (dataset.has_questions()) batch.spans = Tensor({count, 2}, DType::i32);
  if (dataset.has_heads()) batch.heads = Tensor(tokens, DType::i32);
  if (dataset.has_classes()) batch.classes = Tensor(tokens, DType::i32);
  for (int64_t b = 0; b < count; ++b) {
    const int64_t sample = samples[static_cast<size_t>(b)], first = offsets[b];
    batch.labels.data<int32_t>()[b] = dataset.label(sample);
    if (dataset.has_scores()) batch.scores.data<float>()[b] = dataset.score(sample);
    if (dataset.has_token_labels()) {
      std::ranges::copy(dataset.token_labels(sample), batch.token_labels.data<int32_t>() + first);
    }
    if (dataset.has_questions()) {
      std::ranges::copy(dataset.questions().span(sample), batch.spans.data<int32_t>() + 2 * b);
    }
    dataset.copy_ids(sample, batch.ids.data<int32_t>() + first);
    std::iota(batch.positions.data<int32_t>() + first,
              batch.positions.data<int32_t>() + offsets[b + 1], 0);
    std::ranges::copy(dataset.words(sample), batch.words.data<int32_t>() + first);
    std::ranges::copy(dataset.segments(sample), batch.segments.data<int32_t>() + first);
    if (dataset.has_heads()) {
      std::ranges::copy(dataset.heads(sample), batch.heads.data<int32_t>() + first);
    }
    if (dataset.has_classes()) {
      std::ranges::copy(dataset.classes(sample), batch.classes.data<int32_t>() + first);
    }
  }
  if (dataset.has_links()) {
    batch.link_offsets = Tensor({count + 1}, DType::i64);
    int64_t* ends = batch.link_offsets.data<int64_t>();
    ends[0] = 0;
    for (int64_t b = 0; b < count; ++b) {
      const auto links = dataset.links(samples[static_cast<size_t>(b)]);
      ends[b + 1] = ends[b] + static_cast<int64_t>(links.size() / 2);
    }
    batch.links = Tensor({ends[count], 2}, DType::i32);
    for (int64_t b = 0; b < count; ++b) {
      std::ranges::copy(dataset.links(samples[static_cast<size_t>(b)]),
                        batch.links.data<int32_t>() + 2 * ends[b]);
    }
  }
  mark_special(batch);
  return batch;
}

Batch make_batch(const Sample& sample, int64_t number) {
  Batch batch;
  const auto length = static_cast<int64_t>(sample.ids.size());
  batch.ids = Tensor::from(sample.ids);
  batch.positions = Tensor({length}, DType::i32);
  std::iota(batch.positions.data<int32_t>(), batch.positions.data<int32_t>() + length, 0);
  batch.segments = Tensor::zeros({length}, DType::i32);
  std::ranges::copy(sample.segments, batch.segments.data<int32_t>());
  batch.offsets = Tensor::from(std::vector<int64_t>{0, length});
  batch.labels = Tensor::full({1}, -1, DType::i32);
  batch.words = Tensor::from(sample.words);
  if (!sample.heads.empty()) batch.heads = Tensor::from(sample.heads);
  batch.classes = Tensor::from(sample.classes);
  if (!sample.links.empty()) {
    const auto links = static_cast<int64_t>(sample.links.size() / 2);
    batch.links = Tensor::from(sample.links).view({links, 2});
    batch.link_offsets = Tensor::from(std::vector<int64_t>{0, links});
  }
  batch.samples = {number};
  mark_special(batch);
  return batch;
}

SequenceBatch sequence_view(const Batch& batch) {
  const auto numbers = [](const Tensor& tensor) {
    return tensor.defined() ? tensor.span<int32_t>() : std::span<const int32_t>();
  };
  return {batch.offsets,
          std::as_const(batch.ids).span<int32_t>(),
          std::as_const(batch.special).span<uint8_t>(),
          batch.samples,
          numbers(batch.words),
          numbers(batch.heads),
          numbers(batch.classes),
          numbers(batch.links),
          batch.link_offsets.defined() ? std::as_const(batch.link_offsets).span<int64_t>()
                                       : std::span<const int64_t>()};
}

}  // namespace filigree
