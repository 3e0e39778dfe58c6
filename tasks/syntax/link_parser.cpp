#include "tasks/syntax/link_parser.h"

#include <algorithm>
#include <fmt/format.h>
#include <link-grammar/link-includes.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "core/error.h"

namespace filigree {

namespace {

constexpr int kLinkages = 1000;  // linkages that the best is chosen from; the library's own choice
constexpr int kMostWords = 250;  // the library's limit is 254 with the walls

/// White space and control characters as spaces, byte for byte, so that offsets stay.
std::string blanked(std::string_view text) {
  std::string result(text);
  const char* bytes = text.data();
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    const int32_t begin = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, size, c);
    if (c < 0 || u_isUWhiteSpace(c) || u_iscntrl(c)) {
      std::fill(result.begin() + begin, result.begin() + at, ' ');
    }
  }
  return result;
}

using Handle = std::unique_ptr<Parse_Options_s, int (*)(Parse_Options)>;

Handle make_options() {
  Handle options(parse_options_create(), parse_options_delete);
  parse_options_set_verbosity(options.get(), 0);
  parse_options_set_linkage_limit(options.get(), kLinkages);
  parse_options_set_spell_guess(options.get(), 0);
  parse_options_set_min_null_count(options.get(), 0);
  parse_options_set_max_null_count(options.get(), kMostWords);
  return options;
}

/// Reads a linkage of the library. Walls and other words without extent are left out.
Linkage read(const Linkage_s* source_const, int64_t bytes, bool complete) {
  auto* source = const_cast<Linkage_s*>(source_const);
  Linkage linkage;
  linkage.outcome = complete ? ParseOutcome::complete : ParseOutcome::partial;
  std::vector<int32_t> number;  // of every word of the library, -1 if left out
  int64_t last = 0;
  for (size_t w = 0; w < linkage_get_num_words(source); ++w) {
    const auto begin = static_cast<int64_t>(linkage_get_word_byte_start(source, w));
    const auto end = static_cast<int64_t>(linkage_get_word_byte_end(source, w));
    const bool in_text = begin >= last && begin < end && end <= bytes;
    number.push_back(in_text ? static_cast<int32_t>(linkage.words.size()) : -1);
    if (!in_text) continue;
    linkage.words.push_back({begin, end});
    last = end;
  }
  bool main_verb = false;
  for (size_t k = 0; k < linkage_get_num_links(source); ++k) {
    const size_t left = linkage_get_link_lword(source, k);
    const int32_t a = number.at(left), b = number.at(linkage_get_link_rword(source, k));
    if (a >= 0 && b >= 0) linkage.links.push_back({std::min(a, b), std::max(a, b)});
    if (a >= 0 || b < 0 || left != 0) continue;
    // The wall's link WV points at the main verb, other W at what else heads the sentence.
    const std::string_view label = linkage_get_link_label(source, k);
    if (label.starts_with("WV") && !main_verb) {
      main_verb = true;
      linkage.root = b;
    } else if (label.starts_with("W") && linkage.root < 0) {
      linkage.root = b;
    }
  }
  return linkage;
}

}  // namespace

struct LinkParser::State {
  Dictionary dictionary = nullptr;
  std::string identity;
  ~State() {
    if (dictionary != nullptr) dictionary_delete(dictionary);
  }
};

std::string link_grammar_version() { return linkgrammar_get_version(); }

LinkParser::LinkParser() : state_(std::make_unique<State>()) {
  lg_error_set_handler(nullptr, nullptr);
  state_->dictionary = dictionary_create_lang("en");
  if (state_->dictionary == nullptr) {
    throw FileError("parse", "link-grammar finds no English dictionary",
                    "install link-grammar-dictionaries-en (`tools/setup`)");
  }
  state_->identity = fmt::format("{}, dictionary en {}, {} linkages", linkgrammar_get_version(),
                                 linkgrammar_get_dict_version(state_->dictionary), kLinkages);
}

LinkParser::~LinkParser() = default;

const std::string& LinkParser::identity() const { return state_->identity; }

Linkage LinkParser::parse(std::string_view sentence) const {
  const std::string text = blanked(sentence);
  // The library ends the process on blank text.
  if (text.find_first_not_of(' ') == std::string::npos) return {};
  const Handle options = make_options();
  const std::unique_ptr<Sentence_s, void (*)(Sentence)> parsed(
      sentence_create(text.c_str(), state_->dictionary), sentence_delete);
  if (sentence_split(parsed.get(), options.get()) < 0) return {};
  if (sentence_length(parsed.get()) > kMostWords + 2) return {};
  if (sentence_parse(parsed.get(), options.get()) < 1) return {};
  const std::unique_ptr<Linkage_s, void (*)(::Linkage)> best(
      linkage_create(0, parsed.get(), options.get()), linkage_delete);
  if (best == nullptr) return {};
  return read(best.get(), static_cast<int64_t>(text.size()),
              sentence_null_count(parsed.get()) == 0);
}

}  // namespace filigree
