#include "tasks/dataset/sample_packer.h"

#include <algorithm>

namespace filigree {

SamplePacker::SamplePacker(DatasetWriter& writer, Packing packing, int64_t max_length)
    : writer_(writer),
      specials_(writer.info().specials),
      packing_(packing),
      max_length_(max_length) {}

int64_t SamplePacker::room() const {
  const int64_t taken = ids_.empty() ? 1 : std::ssize(ids_) + (divide_ ? 1 : 0);
  return max_length_ - 1 - taken;
}

void SamplePacker::add(const TokenSentence& sentence, bool begins_document) {
  if (begins_document && !ids_.empty()) begin_document();
  const auto length = std::ssize(sentence.ids);
  if (length > room()) flush();
  int64_t first = 0;
  if (length > room()) {
    ++cut_;
    for (; length - first > room(); first += max_length_ - 2) {
      append(sentence, static_cast<size_t>(first), static_cast<size_t>(first + room()));
      flush();
    }
  }
  append(sentence, static_cast<size_t>(first), static_cast<size_t>(length));
}

void SamplePacker::begin_document() {
  if (packing_ == Packing::documents) {
    flush();
  } else {
    divide_ = true;
  }
}

void SamplePacker::append(const TokenSentence& sentence, size_t first, size_t last) {
  if (ids_.empty()) {
    push(specials_.cls, -1, -1);
  } else if (divide_) {
    push(specials_.sep, -1, -1);
  }
  divide_ = false;
  const int32_t base = word_count_ - sentence.words[first];
  for (size_t i = first; i < last; ++i) {
    const int32_t word = base + sentence.words[i];
    const std::string& name = sentence.names[static_cast<size_t>(sentence.words[i])];
    push(sentence.ids[i], word, class_of_.emplace(name, word).first->second);
    word_count_ = word + 1;
  }
}

void SamplePacker::push(int32_t id, int32_t word, int32_t word_class) {
  ids_.push_back(id);
  words_.push_back(word);
  classes_.push_back(word_class);
}

void SamplePacker::flush() {
  if (ids_.empty()) return;
  push(specials_.sep, -1, -1);
  writer_.add(ids_, words_, {}, {}, {}, classes_);
  longest_ = std::max(longest_, std::ssize(ids_));
  ids_.clear();
  words_.clear();
  classes_.clear();
  class_of_.clear();
  word_count_ = 0;
  divide_ = false;
}

}  // namespace filigree
