#include "tasks/tokenizer/bert_text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include "core/error.h"

namespace filigree {

namespace {

/// What a character is to the basic tokenizer; several may hold.
enum Trait : uint8_t {
  kRemoved = 1,      // by cleaning
  kSpace = 2,        // white space
  kPunctuation = 4,  // a word by itself
  kIdeograph = 8,    // stands alone
  kMark = 16,        // an accent (Mn)
  kMoves = 32,       // decomposes, or has a combining class
};

constexpr int kCategoriesOf = 8, kDecompositionsOf = 12;  // major versions of Unicode

int age_of(UChar32 c) {
  UVersionInfo version;
  u_charAge(c, version);
  return version[0];
}

bool is_ideograph(UChar32 c) {
  constexpr std::array<std::pair<UChar32, UChar32>, 8> kBlocks{{{0x4E00, 0x9FFF},
                                                                {0x3400, 0x4DBF},
                                                                {0x20000, 0x2A6DF},
                                                                {0x2A700, 0x2B73F},
                                                                {0x2B740, 0x2B81F},
                                                                {0x2B920, 0x2CEAF},
                                                                {0xF900, 0xFAFF},
                                                                {0x2F800, 0x2FA1F}}};
  return std::any_of(kBlocks.begin(), kBlocks.end(),
                     [c](const auto& block) { return c >= block.first && c <= block.second; });
}

bool is_mark(UChar32 c) {
  switch (c) {  // what was another category in Unicode 8
    case 0x1734:
      return true;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
    case 0x111C9:
      return false;
    default:
      return u_charType(c) == U_NON_SPACING_MARK && age_of(c) <= kCategoriesOf;
  }
}

bool is_punctuation(UChar32 c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && u_isalnum(c) == 0;
  if (c == 0x166D || c == 0x111C9) return true;  // so in Unicode 8
  return (U_GET_GC_MASK(c) & U_GC_P_MASK) != 0 && age_of(c) <= kCategoriesOf;
}

bool is_removed(UChar32 c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  constexpr uint32_t kOther = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK;
  return c == 0xFFFD || ((U_GET_GC_MASK(c) & kOther) != 0 && age_of(c) <= kCategoriesOf);
}

const icu::Normalizer2& nfd() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) {
    throw DataError("wordpiece",
                    fmt::format("ICU cannot decompose characters: {}", u_errorName(status)),
                    "install ICU with its data");
  }
  return *normalizer;
}

uint8_t find_traits(UChar32 c) {
  int traits = (is_removed(c) ? kRemoved : 0) | (u_isUWhiteSpace(c) != 0 ? kSpace : 0) |
               (is_punctuation(c) ? kPunctuation : 0) | (is_ideograph(c) ? kIdeograph : 0) |
               (is_mark(c) ? kMark : 0);
  icu::UnicodeString parts;
  if (age_of(c) <= kDecompositionsOf &&
      (u_getCombiningClass(c) != 0 || nfd().getDecomposition(c, parts) != 0)) {
    traits |= kMoves;
  }
  return static_cast<uint8_t>(traits);
}

/// Traits of the characters below U+10000, found once.
class TraitTable {
 public:
  TraitTable() {
    for (UChar32 c = 0; c < kSize; ++c) traits_[static_cast<size_t>(c)] = find_traits(c);
  }
  uint8_t of(UChar32 c) const {
    return c < kSize ? traits_[static_cast<size_t>(c)] : find_traits(c);
  }

 private:
  static constexpr UChar32 kSize = 0x10000;
  std::array<uint8_t, kSize> traits_;
};

const TraitTable& table() {
  static const TraitTable traits;
  return traits;
}

/// Takes the characters of the text one by one and makes words.
class WordBuilder {
 public:
  WordBuilder(const BertTextRules& rules, const std::function<void(const BertWord&)>& visit)
      : rules_(rules), visit_(visit) {
    if (rules.strip_accents) nfd();
  }

  void take(UChar32 c, ByteSpan place) {
    const uint8_t traits = table_.of(c);
    if ((traits & kRemoved) != 0) return;
    const bool alone = rules_.split_cjk && (traits & kIdeograph) != 0;
    if (alone) end_word_of_run();
    if (rules_.strip_accents && (traits & kMoves) != 0) {
      decompose(c, place);
    } else {
      start(c, place, traits);
    }
    if (alone) end_word_of_run();
  }

  void finish() { end_word_of_run(); }

 private:
  struct Moving {
    UChar32 c;
    uint8_t combining_class;
    bool inserted;  // not the first of its decomposition: it has no place of its own
  };

  void end_word_of_run() {
    flush_run();
    end_word();
  }

  /// A character that no mark moves past.
  void start(UChar32 c, ByteSpan place, uint8_t traits) {
    flush_run();
    last_ = place;
    add(c, place, traits);
  }

  void decompose(UChar32 c, ByteSpan place) {
    icu::UnicodeString parts;
    if (nfd().getDecomposition(c, parts) == 0) parts = icu::UnicodeString(c);
    for (int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1)) {
      const UChar32 part = parts.char32At(i);
      const uint8_t combining_class = u_getCombiningClass(part);
      if (combining_class != 0) {
        run_.push_back({part, combining_class, i > 0});
        if (i == 0) run_places_.push_back(place);
        continue;
      }
      flush_run();
      if (i == 0) last_ = place;
      add(part, last_, table_.of(part));
    }
  }

  /// Canonical order, with the places in the order of the text.
  void flush_run() {
    if (run_.empty()) return;
    std::stable_sort(run_.begin(), run_.end(), [](const Moving& a, const Moving& b) {
      return a.combining_class < b.combining_class;
    });
    size_t next = 0;
    for (const Moving& moving : run_) {
      if (!moving.inserted) last_ = run_places_[next++];
      add(moving.c, last_, table_.of(moving.c));
    }
    run_.clear();
    run_places_.clear();
  }

  void add(UChar32 c, ByteSpan place, uint8_t traits) {
    if (rules_.strip_accents && (traits & kMark) != 0) return;
    if ((traits & kSpace) != 0) {
      end_word();
    } else if ((traits & kPunctuation) != 0) {
      end_word();
      append(c, place);
      end_word();
    } else if (rules_.lower_case && c == 0x130) {  // the one letter whose lower case is two
      append('i', place);
      append(0x307, place);
    } else {
      append(rules_.lower_case ? lower(c) : c, place);
    }
  }

  static UChar32 lower(UChar32 c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    return u_tolower(c);
  }

  void append(UChar32 c, ByteSpan place) {
    if (word_.places.empty()) word_.span.begin = place.begin;
    word_.span.end = place.end;
    if (word_.places.size() == BertWord::kLongest) {
      word_.too_long = true;
      return;
    }
    char bytes[U8_MAX_LENGTH];
    int32_t length = 0;
    U8_APPEND_UNSAFE(bytes, length, c);
    word_.text.append(bytes, static_cast<size_t>(length));
    word_.ends.push_back(word_.text.size());
    word_.places.push_back(place);
  }

  void end_word() {
    if (word_.places.empty()) return;
    visit_(word_);
    word_.too_long = false;
    word_.text.clear();
    word_.ends.clear();
    word_.places.clear();
  }

  const BertTextRules& rules_;
  const std::function<void(const BertWord&)>& visit_;
  const TraitTable& table_ = table();
  BertWord word_;
  std::vector<Moving> run_;           // marks whose order is not settled
  std::vector<ByteSpan> run_places_;  // of those that are not inserted, in the order of the text
  ByteSpan last_;                     // place of the last character that has one
};

}  // namespace

void for_each_bert_word(std::string_view text, const BertTextRules& rules,
                        const std::function<void(const BertWord&)>& visit) {
  WordBuilder builder(rules, visit);
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t at = 0; at < size;) {
    const int64_t begin = at;
    const UChar32 c = next_character(text, at);
    builder.take(c, {begin, at});
  }
  builder.finish();
}

std::string bert_text(std::string_view text, const BertTextRules& rules) {
  std::string result;
  for_each_bert_word(text, rules, [&](const BertWord& word) {
    if (word.too_long) return;
    if (!result.empty()) result += ' ';
    result += word.text;
  });
  return result;
}

}  // namespace filigree
