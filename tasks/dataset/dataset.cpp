#include "tasks/dataset/dataset.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/dataset/format.h"
#include "tasks/tokenizer/tokenizer.h"

namespace filigree {

struct TokenDataset::Impl {
  explicit Impl(const std::filesystem::path& path) : file(path) {}

  SafetensorsFile file;
  std::string checksum;
  DatasetInfo info;
  int64_t longest = 0;
  std::span<const uint16_t> narrow;  // ids of a small vocabulary
  std::span<const uint32_t> wide;    // ids of a large one
  std::span<const int64_t> offsets;
  std::span<const int32_t> words, labels, token_labels, heads, classes, links;
  std::span<const float> scores;
  std::span<const int64_t> link_offsets;
  std::span<const uint8_t> segments;
  Questions questions;

  std::string where() const { return file.path().string(); }
  [[noreturn]] void fail(std::string_view what) const {
    throw DataError(where(), what,
                    "prepare the dataset again (`filigree prepare`), or see "
                    "docs/dataset-format.md for what a file must hold");
  }

  const std::string& text(const std::string& key) const {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) fail(fmt::format("the metadata lack \"{}\"", key));
    return found->second;
  }
  int64_t number(const std::string& key) const {
    const std::string& value = text(key);
    int64_t result = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), result);
    if (read.ec != std::errc() || read.ptr != value.data() + value.size() || result < 0) {
      fail(fmt::format("expected a number as \"{}\", got {}", key, excerpt(value)));
    }
    return result;
  }

  void read_info() {
    if (const auto format = file.metadata().find("format");
        format == file.metadata().end() || format->second != kDatasetFormat) {
      throw DataError(where(), "a safetensors file, but no tokenized dataset",
                      "give a file written by `filigree prepare`");
    }
    if (const std::string& version = text("format_version");
        version != kDatasetVersion && version != kFirstVersion) {
      fail(fmt::format("expected format version {} or {}, got {}", kFirstVersion, kDatasetVersion,
                       excerpt(version)));
    }
    info.task = text("task");
    info.tokenizer_hash = text("tokenizer_hash");
    info.source = text("source");
    info.vocabulary = number("vocabulary");
    info.max_length = number("max_length");
    info.truncated = number("truncated");
    info.skipped = number("skipped");
    if (file.metadata().contains("unlabelled")) info.unlabelled = number("unlabelled");
    if (file.metadata().contains("unanswerable")) info.unanswerable = number("unanswerable");
    if (const auto found = file.metadata().find("syntax"); found != file.metadata().end()) {
      info.syntax = found->second;
    }
    if (file.metadata().contains("special_ids")) read_special_ids();
    try {
      info.label_names = nlohmann::json::parse(text("label_names")).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception&) {
      fail("\"label_names\" is no JSON list of strings");
    }
  }

  void read_special_ids() {
    SpecialIds& ids = info.specials;
    try {
      const auto read =
          nlohmann::json::parse(text("special_ids")).get<std::map<std::string, int64_t>>();
      for (const auto& [name, id] :
           std::initializer_list<std::pair<const char*, int32_t*>>{{"pad", &ids.pad},
                                                                   {"unk", &ids.unk},
                                                                   {"cls", &ids.cls},
                                                                   {"sep", &ids.sep},
                                                                   {"mask", &ids.mask}}) {
        const int64_t value = read.at(name);
        if (value < 0 || value >= info.vocabulary) {
          fail(fmt::format("expected the special id {} from 0 to {}, got {}", name,
                           info.vocabulary - 1, value));
        }
        *id = static_cast<int32_t>(value);
      }
    } catch (const nlohmann::json::exception&) {
      fail("\"special_ids\" is no JSON object of the ids pad, unk, cls, sep and mask");
    } catch (const std::out_of_range&) {
      fail("\"special_ids\" lacks one of pad, unk, cls, sep and mask");
    }
  }

  template <class T>
  std::span<const T> array(std::string_view name, int64_t count) const {
    const std::span<const T> values = file.array<T>(name);
    if (static_cast<int64_t>(values.size()) != count) {
      fail(fmt::format("expected {} numbers in \"{}\", got {}", count, name, values.size()));
    }
    return values;
  }

  template <class T>
  void check_range(std::string_view name, std::span<const T> values, int64_t least,
                   int64_t bound) const {
    constexpr size_t kBlock = size_t{1} << 22;
    for (size_t first = 0; first < values.size(); first += kBlock) {
      const auto block = values.subspan(first, std::min(kBlock, values.size() - first));
      T low = block.front(), high = block.front();
      for (const T value : block) {
        low = std::min(low, value);
        high = std::max(high, value);
      }
      const auto is_wrong = [&](T value) {
        return static_cast<int64_t>(value) < least || static_cast<int64_t>(value) >= bound;
      };
      if (is_wrong(low) || is_wrong(high)) {
        const auto at = std::find_if(block.begin(), block.end(), is_wrong);
        fail(fmt::format("expected \"{}\" from {} to {}, got {} at {}", name, least, bound - 1, *at,
                         first + static_cast<size_t>(at - block.begin())));
      }
      was_read(block.size_bytes());
    }
  }

  /// Counts bytes that were read of the mapped file, and gives the memory back from time to time:
  /// an epoch over a large file would fill it.
  void was_read(size_t bytes) const {
    constexpr size_t kMostRead = size_t{128} << 20;
    if (file.data_bytes() < kMostRead) return;
    if (read_bytes.fetch_add(bytes) + bytes < kMostRead) return;
    read_bytes = 0;
    file.forget();
  }
  mutable std::atomic<size_t> read_bytes = 0;

  void read_arrays() {
    offsets = file.array<int64_t>("offsets");
    if (offsets.size() < 2 || offsets.front() != 0) fail("the offsets hold no sample");
    for (size_t i = 1; i < offsets.size(); ++i) {
      const int64_t length = offsets[i] - offsets[i - 1];
      if (length < 1) fail(fmt::format("sample {} is empty or its offsets descend", i - 1));
      longest = std::max(longest, length);
    }
    was_read(offsets.size_bytes());
    const int64_t samples = static_cast<int64_t>(offsets.size()) - 1, tokens = offsets.back();
    if (file.entry("ids").dtype == "U16") {
      check_range("ids", narrow = array<uint16_t>("ids", tokens), 0, info.vocabulary);
    } else {
      check_range("ids", wide = array<uint32_t>("ids", tokens), 0, info.vocabulary);
    }
    constexpr int64_t kNoBound = INT32_MAX;  // words are only ever compared with each other
    check_range("words", words = array<int32_t>("words", tokens), -1, kNoBound);
    read_targets(samples, tokens);
    if (file.contains("segments")) {
      check_range("segments", segments = array<uint8_t>("segments", tokens), 0, 2);
    }
    if (file.contains("heads")) {
      check_range("heads", heads = array<int32_t>("heads", tokens), -1, kNoBound);
    }
    if (file.contains("classes")) {
      check_range("classes", classes = array<int32_t>("classes", tokens), -1, kNoBound);
    }
    if (file.contains("links")) read_links(samples);
    if (file.contains("spans")) {
      questions = Questions(file, offsets, [&](const std::string& what) { fail(what); });
    }
  }

  void read_targets(int64_t samples, int64_t tokens) {
    const auto names = static_cast<int64_t>(info.label_names.size());
    if (file.contains("labels")) {
      check_range("labels", labels = array<int32_t>("labels", samples), 0, names);
    }
    if (file.contains("token_labels")) {
      token_labels = array<int32_t>("token_labels", tokens);
      check_range("token_labels", token_labels, -1, names);
    }
    if (!file.contains("scores")) return;
    scores = array<float>("scores", samples);
    for (size_t i = 0; i < scores.size(); ++i) {
      if (!std::isfinite(scores[i])) fail(fmt::format("the score of sample {} is not finite", i));
    }
  }

  void read_links(int64_t samples) {
    if (heads.empty()) fail("links without heads");
    link_offsets = array<int64_t>("link_offsets", samples + 1);
    for (size_t i = 1; i < link_offsets.size(); ++i) {
      if (link_offsets[i] < link_offsets[i - 1]) fail("the offsets of the links descend");
    }
    if (link_offsets.front() != 0 || link_offsets.back() > INT64_MAX / 2) {
      fail("the offsets of the links are out of range");
    }
    links = array<int32_t>("links", 2 * link_offsets.back());
    for (int64_t sample = 0; sample < samples; ++sample) {
      const std::string fault = link_fault(links_of(sample), of(words, sample));
      if (!fault.empty()) fail(fmt::format("sample {}: {}", sample, fault));
    }
  }

  std::span<const int32_t> links_of(int64_t sample) const {
    begin(sample);  // checks the number
    if (links.empty()) return {};
    const auto s = static_cast<size_t>(sample);
    const auto first = static_cast<size_t>(link_offsets[s]);
    return links.subspan(2 * first, 2 * (static_cast<size_t>(link_offsets[s + 1]) - first));
  }

  template <class T>
  std::span<const T> of(std::span<const T> all, int64_t sample) const {
    if (all.empty()) return {};
    const auto first = static_cast<size_t>(begin(sample));
    return all.subspan(first, static_cast<size_t>(length(sample)));
  }
  /// What reading a sample brings into memory at most: the system may map a huge page around a
  /// place in each array.
  size_t bytes_of(int64_t sample) const {
    constexpr size_t kAround = size_t{2} << 20;
    const size_t a_token = file.data_bytes() / static_cast<size_t>(offsets.back());
    return file.entries().size() * kAround + static_cast<size_t>(length(sample)) * a_token;
  }
  int64_t begin(int64_t sample) const {
    if (sample < 0 || sample + 1 >= static_cast<int64_t>(offsets.size())) {
      fail(fmt::format("expected a sample from 0 to {}, got {}", offsets.size() - 2, sample));
    }
    return offsets[static_cast<size_t>(sample)];
  }
  int64_t length(int64_t sample) const {
    const int64_t first = begin(sample);
    return offsets[static_cast<size_t>(sample) + 1] - first;
  }
};

std::string link_fault(std::span<const int32_t> links, std::span<const int32_t> words) {
  if (links.size() % 2 != 0) return "expected pairs of words as links";
  if (links.empty()) return "";
  const int32_t most = words.empty() ? -1 : *std::max_element(words.begin(), words.end());
  for (size_t i = 0; i < links.size(); i += 2) {
    const int32_t a = links[i], b = links[i + 1];
    if (a < 0 || b <= a || b > most) {
      return fmt::format("expected a link of two of {} words, in order, got {} and {}",
                         int64_t{most} + 1, a, b);
    }
    if (i > 0 && std::pair(links[i - 2], links[i - 1]) >= std::pair(a, b)) {
      return fmt::format("expected ascending links, got {} and {} twice or too late", a, b);
    }
  }
  return "";
}

TokenDataset TokenDataset::open(const std::filesystem::path& path) {
  TokenDataset dataset;
  try {
    auto impl = std::make_shared<Impl>(path);
    impl->read_info();
    // Python writes no checksum; a file of ours without one has lost it.
    const auto maker = impl->file.metadata().find(kMakerKey);
    const bool ours = maker != impl->file.metadata().end() && maker->second == kMaker;
    impl->checksum = impl->file.verify_checksum(ours ? Unsealed::refuse : Unsealed::accept);
    impl->read_arrays();
    dataset.impl_ = std::move(impl);
  } catch (const CheckpointError& error) {  // the container is damaged: here it holds data
    throw DataError(path.string(),
                    fmt::format("not a whole dataset of `filigree prepare`\n{}", error.what()),
                    "prepare the dataset again (`filigree prepare`)");
  }
  return dataset;
}

const DatasetInfo& TokenDataset::info() const { return impl_->info; }
const std::filesystem::path& TokenDataset::path() const { return impl_->file.path(); }
int64_t TokenDataset::size() const { return static_cast<int64_t>(impl_->offsets.size()) - 1; }
int64_t TokenDataset::tokens() const { return impl_->offsets.back(); }
int64_t TokenDataset::length(int64_t sample) const { return impl_->length(sample); }
int64_t TokenDataset::longest() const { return impl_->longest; }
std::span<const int64_t> TokenDataset::offsets() const { return impl_->offsets; }
bool TokenDataset::has_labels() const { return !impl_->labels.empty(); }
bool TokenDataset::has_scores() const { return !impl_->scores.empty(); }
bool TokenDataset::has_token_labels() const { return !impl_->token_labels.empty(); }
bool TokenDataset::has_segments() const { return !impl_->segments.empty(); }
bool TokenDataset::has_heads() const { return !impl_->heads.empty(); }
bool TokenDataset::has_classes() const { return !impl_->classes.empty(); }
bool TokenDataset::has_links() const { return !impl_->links.empty(); }
bool TokenDataset::has_questions() const { return !impl_->questions.empty(); }

void TokenDataset::copy_ids(int64_t sample, int32_t* out) const {
  const auto narrow = impl_->of(impl_->narrow, sample);
  const auto wide = impl_->of(impl_->wide, sample);
  std::copy(narrow.begin(), narrow.end(), out);
  std::copy(wide.begin(), wide.end(), out);
  impl_->was_read(impl_->bytes_of(sample));
}

int32_t TokenDataset::label(int64_t sample) const {
  impl_->begin(sample);  // checks the number
  return has_labels() ? impl_->labels[static_cast<size_t>(sample)] : -1;
}

float TokenDataset::score(int64_t sample) const {
  impl_->begin(sample);
  return has_scores() ? impl_->scores[static_cast<size_t>(sample)] : 0;
}

std::span<const int32_t> TokenDataset::token_labels(int64_t sample) const {
  return impl_->of(impl_->token_labels, sample);
}

std::span<const int32_t> TokenDataset::words(int64_t sample) const {
  return impl_->of(impl_->words, sample);
}
std::span<const uint8_t> TokenDataset::segments(int64_t sample) const {
  return impl_->of(impl_->segments, sample);
}
std::span<const int32_t> TokenDataset::heads(int64_t sample) const {
  return impl_->of(impl_->heads, sample);
}
std::span<const int32_t> TokenDataset::classes(int64_t sample) const {
  return impl_->of(impl_->classes, sample);
}

std::span<const int32_t> TokenDataset::links(int64_t sample) const {
  return impl_->links_of(sample);
}

const Questions& TokenDataset::questions() const { return impl_->questions; }

std::string TokenDataset::checksum() const { return impl_->checksum; }

void TokenDataset::expect_tokenizer(const Tokenizer& tokenizer) const {
  expect_tokenizer_hash(path().string(), info().tokenizer_hash, "the dataset", tokenizer.hash(),
                        "give that tokenizer, or prepare the dataset again with this one");
}

void TokenDataset::expect_like(const TokenDataset& other) const {
  expect_tokenizer_hash(path().string(), other.info().tokenizer_hash, other.path().string(),
                        info().tokenizer_hash, "prepare both with the same tokenizer");
  if (has_segments() != other.has_segments()) {
    throw DataError(path().string(),
                    fmt::format("holds {}, but {} does not",
                                has_segments() ? "pairs" : "single texts", other.path().string()),
                    "prepare both with --pair, or both without");
  }
}

}  // namespace filigree
