// TokenDataset: tokenized samples in one memory-mapped safetensors file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tasks/dataset/questions.h"
#include "tasks/tokenizer/special_ids.h"

namespace filigree {

class Tokenizer;

/// What is to be predicted of a sample. All samples of a dataset have the same fields.
struct Target {
  Target() = default;
  Target(int32_t label_of_sample) : label(label_of_sample) {}  // NOLINT: a class is a target

  int32_t label = -1;                 ///< class; -1: none
  std::optional<float> score;         ///< number to be predicted, finite
  std::vector<int32_t> token_labels;  ///< (n) class of every token, -1: not counted; or empty
  std::optional<Feature> feature;     ///< the answer to a question, and where its tokens stand
};

/// What a dataset file says about itself.
struct DatasetInfo {
  std::string task = "classification";   ///< name in the table of tasks; "text": no target
  std::string tokenizer_hash;            ///< Tokenizer::hash() of the tokenizer that made the ids
  int64_t vocabulary = 0;                ///< ids are below
  SpecialIds specials;                   ///< of the tokenizer; Filigree's own if a file has none
  std::vector<std::string> label_names;  ///< class c is called label_names[c]; empty: no labels
  int64_t max_length = 0;                ///< truncation limit in tokens, special ones included
  int64_t truncated = 0;                 ///< samples cut to it
  int64_t unlabelled = 0;                ///< words with a label but no token to carry it
  int64_t unanswerable = 0;              ///< questions whose answer is in no feature
  int64_t skipped = 0;                   ///< bad lines left out (--skip-bad-lines)
  std::string syntax;                    ///< where heads and links come from; empty: there are none
  std::string source;                    ///< name of the file that it was made from
};

/// Read-only samples. Cheap to copy; safe to use from several threads. Of a file of any size about
/// 128 MiB are in memory at most: what was read goes back to the system now and then.
///
/// File: arrays `ids` (T) u16 if vocabulary <= 65536 else u32, `offsets` (N+1) i64, `words` (T) i32
/// (index of the token's word in its sample, -1 for special tokens; the words of a second sentence
/// go on counting), and where there are any: `labels` (N) i32, `scores` (N) f32, `token_labels` (T)
/// i32 (class of the token, -1: not counted; one a word, on its first token), `segments` (T) u8 (1
/// from the second sentence on), `heads` (T) i32 (index of the word that is the head of the token's
/// word in the dependency tree, -1 for the root, special tokens and heads that were cut off),
/// `classes` (T) i32 (equal for words of the same lemma, or form up to case, in a sample; -1 for
/// special tokens; all but files of early versions have them). Where syntax is no tree (the
/// linkages of a link grammar, or a contraction of two words with different heads), `heads` is a
/// spanning forest of it, and `links` (K, 2) i32 holds the links beyond: pairs of words a < b of
/// the sample, ascending, `link_offsets` (N+1) i64 says which are whose. All links of a sample,
/// undirected and each once, are those between its words and their heads, and `links`. The arrays
/// of question answering: see Questions. Metadata: DatasetInfo, of it "special_ids" as JSON
/// {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4} (may be left out for these very ids), and
/// "format": "filigree-dataset", "format_version": "2". Files of version 1 (no scores, no token
/// labels) are read, too, and files of other programs, which have no checksum
/// (docs/dataset-format.md).
class TokenDataset {
 public:
  /// Opens and checks everything that reading relies on: format, version, checksum if there is one,
  /// shapes, offsets, the range of every id, label, word, head and segment. Throws DataError that
  /// names the file and the fault. Cost: reads the file twice, a few
  /// megabytes at a time.
  static TokenDataset open(const std::filesystem::path& path);

  const DatasetInfo& info() const;
  const std::filesystem::path& path() const;

  int64_t size() const;    ///< samples N
  int64_t tokens() const;  ///< tokens T of all samples
  int64_t classes() const { return static_cast<int64_t>(info().label_names.size()); }
  int64_t length(int64_t sample) const;  ///< tokens of one sample
  int64_t longest() const;               ///< tokens of the longest sample
  std::span<const int64_t> offsets() const;

  bool has_labels() const;
  bool has_scores() const;
  bool has_token_labels() const;
  bool has_segments() const;
  bool has_heads() const;
  bool has_classes() const;
  bool has_links() const;
  bool has_questions() const;

  /// Copies a sample's ids to `out` (length(sample) numbers).
  void copy_ids(int64_t sample, int32_t* out) const;
  /// Class of a sample, -1 if the dataset has no labels.
  int32_t label(int64_t sample) const;
  /// Number to be predicted of a sample; 0 if the dataset has no scores.
  float score(int64_t sample) const;
  std::span<const int32_t> token_labels(int64_t sample) const;  // (length) or empty
  std::span<const int32_t> words(int64_t sample) const;         // (length)
  std::span<const uint8_t> segments(int64_t sample) const;      // (length) or empty
  std::span<const int32_t> heads(int64_t sample) const;         // (length) or empty
  std::span<const int32_t> classes(int64_t sample) const;       // (length) or empty
  std::span<const int32_t> links(int64_t sample) const;         // (k, 2) words, k >= 0
  const Questions& questions() const;                           // empty without questions

  /// Checksum of all that is in the file: equal for equal datasets, wherever they lie.
  std::string checksum() const;
  /// Throws DataError unless the dataset was made with this tokenizer.
  void expect_tokenizer(const Tokenizer& tokenizer) const;
  /// Throws DataError unless the other dataset (say, of the dev split) has the same tokenizer, and
  /// pairs if this one has.
  void expect_like(const TokenDataset& other) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// Collects samples and writes them as one dataset file, atomically.
class DatasetWriter {
 public:
  /// `info.vocabulary` and `info.tokenizer_hash` must be set. With a folder, arrays of tokens that
  /// grow large are kept in files without names there; targets stay in memory.
  explicit DatasetWriter(DatasetInfo info, std::filesystem::path scratch = {});
  ~DatasetWriter();

  /// One sample. `words` as long as `ids`; `segments`, `heads` and `classes` empty or as long as
  /// `ids`, and the same choice for all samples; `links` (k, 2) only with heads. Of the target,
  /// too, the same fields for all samples; classes in [0, label names). Throws DataError (naming
  /// the sample) for lengths that differ and for values out of range.
  void add(std::span<const int32_t> ids, std::span<const int32_t> words,
           std::span<const uint8_t> segments, std::span<const int32_t> heads, const Target& target,
           std::span<const int32_t> classes = {}, std::span<const int32_t> links = {});
  /// May be changed until save(): counts, and label names as they become known.
  DatasetInfo& info() { return info_; }
  int64_t size() const;
  int64_t tokens() const;
  /// The questions that features (Target::feature) are of: add one before its features.
  QuestionWriter& questions();
  /// Renumbers the classes of samples and tokens: class c becomes order[c].
  void renumber_labels(std::span<const int32_t> order);
  /// Throws DataError if there is no sample, FileError if the file cannot be written.
  void save(const std::filesystem::path& path) const;

 private:
  void expect_target(const Target& target, size_t length) const;

  DatasetInfo info_;
  struct Arrays;
  std::unique_ptr<Arrays> arrays_;
};

}  // namespace filigree
