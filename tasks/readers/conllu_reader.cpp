// CoNLL-U: dependency trees (https://universaldependencies.org/format.html).
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

constexpr size_t kColumns = 10;
/// Fields that a word can be labelled by; "" for those that cannot.
constexpr std::array<std::string_view, kColumns> kFields = {"",      "", "lemma",  "upos", "xpos",
                                                            "feats", "", "deprel", "",     ""};

/// The number of a field, kColumns for "". Throws ConfigError with the nearest name.
size_t field_of(const std::string& name) {
  if (name.empty()) return kColumns;
  const auto found = std::find(kFields.begin(), kFields.end(), name);
  if (found != kFields.end()) return static_cast<size_t>(found - kFields.begin());
  const std::string near = nearest_name(name, kFields);
  throw ConfigError("label",
                    fmt::format("expected a CoNLL-U field among upos, xpos, feats, deprel, lemma, "
                                "got {}",
                                excerpt(name)),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

class ConlluReader final : public RecordReader {
 public:
  ConlluReader(const std::filesystem::path& path, std::vector<std::string> wanted,
               const ReaderOptions& options)
      : lines_(path, options.max_line_bytes),
        wanted_(std::move(wanted)),
        label_(field_of(options.word_field)) {}

  std::optional<Record> next() override {
    std::vector<std::pair<int64_t, std::string_view>> rows;  // (line number, line)
    std::string_view line;
    int64_t size = 0;
    while (lines_.next_raw(line)) {
      if (is_blank(line)) {
        if (rows.empty()) continue;
        break;
      }
      size += static_cast<int64_t>(line.size());
      rows.emplace_back(lines_.number(), line);
    }
    if (rows.empty()) return std::nullopt;
    if (size > lines_.max_line_bytes()) {
      throw DataError(where(rows.front().first),
                      fmt::format("expected a sentence of at most {} bytes, got {}",
                                  lines_.max_line_bytes(), size),
                      "sentences end in an empty line; or raise the limit (--max-line-bytes)");
    }
    return parse(rows);
  }

 private:
  struct Sentence {
    Record record;
    std::string text;
    std::map<std::string, std::string> comments;
    std::vector<int64_t> lines;  // line of every word
    int32_t surface_until = 0;   // words up to this one (from 1) stand in a multi-word token
    int64_t surface_line = 0;    // that begins in this line
    ByteSpan surface;            // and this is its place
    bool space = false;          // a space is due before the next token
  };

  std::string where(int64_t line) const {
    return fmt::format("{}:{}", lines_.path().string(), line);
  }

  Record parse(const std::vector<std::pair<int64_t, std::string_view>>& rows) const {
    Sentence sentence;
    sentence.record.line = rows.front().first;
    for (const auto& row : rows) {
      require_utf8(where(row.first), row.second);
      if (row.second.front() == '#') {
        take_comment(row.second, sentence.comments);
      } else {
        take_row(row.first, row.second, sentence);
      }
    }
    check_tree(sentence);
    for (const std::string& name : wanted_) {
      if (name == "text" || name == "sentence") {
        sentence.record.values.push_back(sentence.text);
        continue;
      }
      const auto found = sentence.comments.find(name);
      if (found == sentence.comments.end()) {
        std::vector<std::string> names{"text"};
        for (const auto& comment : sentence.comments) names.push_back(comment.first);
        throw_absent_column(where(sentence.record.line), name, names);
      }
      sentence.record.values.push_back(found->second);
    }
    return std::move(sentence.record);
  }

  static void take_comment(std::string_view line, std::map<std::string, std::string>& comments) {
    const auto trim = [](std::string_view text) {
      const size_t begin = text.find_first_not_of(" \t");
      if (begin == std::string_view::npos) return std::string();
      return std::string(text.substr(begin, text.find_last_not_of(" \t") + 1 - begin));
    };
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return;
    comments[trim(line.substr(1, equals - 1))] = trim(line.substr(equals + 1));
  }

  void take_row(int64_t number, std::string_view line, Sentence& sentence) const {
    std::string_view fields[kColumns];
    size_t count = 0;
    for (std::string_view rest = line;; ++count) {
      const size_t tab = rest.find('\t');
      if (count < kColumns) fields[count] = rest.substr(0, tab);
      if (tab == std::string_view::npos) break;
      rest.remove_prefix(tab + 1);
    }
    if (++count != kColumns) {
      throw DataError(where(number), fmt::format("expected 10 columns, got {}", count),
                      "CoNLL-U separates columns by tabs and sentences by empty lines");
    }
    const std::string_view id = fields[0];
    if (id.find('.') != std::string_view::npos) return;  // an empty node: not in the text
    if (fields[1].empty()) throw DataError(where(number), "the word form is empty");
    const size_t dash = id.find('-');
    const auto words = static_cast<int32_t>(sentence.record.words.size());
    const bool space_after = !has_item(fields[9], "SpaceAfter=No");
    if (dash != std::string_view::npos) {
      if (to_number(number, "id", id.substr(0, dash)) != words + 1) throw_order(number, id, words);
      const int32_t until = to_number(number, "id", id.substr(dash + 1));
      if (words < sentence.surface_until || until <= words) {
        throw DataError(
            where(number),
            fmt::format("expected words that follow on each other, got {}", excerpt(id)),
            "a token of several words stands before them: 3-4, then 3, then 4");
      }
      sentence.surface = append(fields[1], space_after, sentence);
      sentence.surface_until = until;
      sentence.surface_line = number;
      return;
    }
    if (to_number(number, "id", id) != words + 1) throw_order(number, id, words);
    TreeWord word;
    word.form = fields[1];
    if (fields[2] != "_") word.lemma = fields[2];
    if (label_ < kColumns && fields[label_] != "_") word.label = fields[label_];
    word.line = number;
    word.head = to_number(number, "head", fields[6]) - 1;
    word.span = words < sentence.surface_until ? sentence.surface
                                               : append(fields[1], space_after, sentence);
    sentence.record.words.push_back(std::move(word));
    sentence.lines.push_back(number);
  }

  /// True if the item is one of a list "a=1|b=2".
  static bool has_item(std::string_view list, std::string_view item) {
    for (;;) {
      const size_t bar = list.find('|');
      if (list.substr(0, bar) == item) return true;
      if (bar == std::string_view::npos) return false;
      list.remove_prefix(bar + 1);
    }
  }

  static ByteSpan append(std::string_view form, bool space_after, Sentence& sentence) {
    if (sentence.space) sentence.text += ' ';
    sentence.space = space_after;
    const auto begin = static_cast<int64_t>(sentence.text.size());
    sentence.text += form;
    return {begin, static_cast<int64_t>(sentence.text.size())};
  }

  int32_t to_number(int64_t line, std::string_view name, std::string_view text) const {
    int32_t value = -1;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < 0 ||
        value > 100'000'000) {
      throw DataError(where(line),
                      fmt::format("expected a number as {}, got {}", name, excerpt(text)));
    }
    return value;
  }

  [[noreturn]] void throw_order(int64_t line, std::string_view id, int32_t words) const {
    throw DataError(where(line), fmt::format("expected word {}, got {}", words + 1, excerpt(id)),
                    "words are numbered 1, 2, 3, ... in every sentence");
  }

  /// Every head exists and every word leads to a root.
  void check_tree(const Sentence& sentence) const {
    const std::vector<TreeWord>& words = sentence.record.words;
    const auto count = static_cast<int32_t>(words.size());
    if (count == 0) throw DataError(where(sentence.record.line), "a sentence without words");
    if (sentence.surface_until > count) {
      throw DataError(where(sentence.surface_line),
                      fmt::format("a token of words up to {}, but the sentence has {}",
                                  sentence.surface_until, count));
    }
    std::vector<int32_t> seen(words.size(), -1);  // the walk that came by
    for (int32_t i = 0; i < count; ++i) {
      if (words[static_cast<size_t>(i)].head >= count) {
        throw DataError(where(sentence.lines[static_cast<size_t>(i)]),
                        fmt::format("expected a head of 0 to {}, got {}", count,
                                    words[static_cast<size_t>(i)].head + 1));
      }
    }
    for (int32_t i = 0; i < count; ++i) {
      int32_t at = i;
      while (at >= 0 && seen[static_cast<size_t>(at)] < 0) {
        seen[static_cast<size_t>(at)] = i;
        at = words[static_cast<size_t>(at)].head;
      }
      if (at >= 0 && seen[static_cast<size_t>(at)] == i) {
        throw DataError(where(sentence.lines[static_cast<size_t>(at)]),
                        fmt::format("the heads of word {} lead in a circle", at + 1));
      }
    }
  }

  LineReader lines_;
  std::vector<std::string> wanted_;
  size_t label_;  // field of TreeWord::label
};

}  // namespace

std::unique_ptr<RecordReader> open_conllu(const std::filesystem::path& path,
                                          const std::vector<std::string>& wanted,
                                          const ReaderOptions& options) {
  return std::make_unique<ConlluReader>(path, wanted, options);
}

}  // namespace filigree
