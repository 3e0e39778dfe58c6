// SamplePacker: sentences one behind the other, cut into samples. Private to tasks/dataset.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tasks/dataset/dataset.h"
#include "tasks/dataset/prepare_documents.h"

namespace filigree {

/// A sentence in tokens.
struct TokenSentence {
  std::vector<int32_t> ids, words;  // (n), words from 0
  std::vector<std::string> names;   // (words) what a word has in common with words of its class
};

/// Packs sentences in the order they come and gives full samples to a writer.
class SamplePacker {
 public:
  SamplePacker(DatasetWriter& writer, Packing packing, int64_t max_length);

  /// `begins_document`: the sentence is the first of its document.
  void add(const TokenSentence& sentence, bool begins_document);
  /// Writes the last sample.
  void finish() { flush(); }
  int64_t cut() const { return cut_; }
  int64_t longest() const { return longest_; }

 private:
  /// Tokens that still fit, the last [SEP] aside.
  int64_t room() const;
  void begin_document();
  /// Tokens [first, last) of a sentence.
  void append(const TokenSentence& sentence, size_t first, size_t last);
  void push(int32_t id, int32_t word, int32_t word_class);
  void flush();

  DatasetWriter& writer_;
  SpecialIds specials_;
  Packing packing_;
  int64_t max_length_;
  std::vector<int32_t> ids_, words_, classes_;
  std::unordered_map<std::string, int32_t> class_of_;  // the first word of this name
  int32_t word_count_ = 0;
  bool divide_ = false;  // a [SEP] comes before what is added next
  int64_t cut_ = 0, longest_ = 0;
};

}  // namespace filigree
