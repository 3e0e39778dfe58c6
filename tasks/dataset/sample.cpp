#include "tasks/dataset/sample.h"

#include <string_view>
#include <unordered_map>

#include "core/error.h"

namespace filigree {

namespace {

/// Puts one sample together.
class SampleBuilder {
 public:
  explicit SampleBuilder(std::span<const TextPart> parts) {
    bool has_syntax = false;
    const SpecialIds& ids = parts.front().text->specials;
    special(ids.cls, 0);
    for (size_t s = 0; s < parts.size(); ++s) {
      add(parts[s], static_cast<uint8_t>(s));
      special(ids.sep, static_cast<uint8_t>(s));
      has_syntax = has_syntax || parts[s].text->has_syntax;
      sample_.texts.push_back(parts[s].text->text);
    }
    if (parts.size() == 1) sample_.segments.clear();
    if (!has_syntax) sample_.heads.clear();
  }

  Sample take() { return std::move(sample_); }

 private:
  void add(const TextPart& shown, uint8_t segment) {
    const TokenizedText& text = *shown.text;
    const WordForest& forest = text.forest;
    const bool any = shown.begin < shown.end;
    const int32_t first = any ? text.pieces[shown.begin].word : 0;
    const int32_t end = any ? text.pieces[shown.end - 1].word + 1 : 0;
    const int32_t shift = first_word_ - first;  // from words of the text to words of the sample
    const auto shows = [&](int32_t word) { return word >= first && word < end; };
    size_t part = 0;  // the first unparsed sentence that ends behind the piece's begin
    for (size_t i = shown.begin; i < shown.end; ++i) {
      const Piece& piece = text.pieces[i];
      const auto w = static_cast<size_t>(piece.word);
      const int32_t head = forest.heads.empty() ? -1 : forest.heads[w];
      push(piece.id, shift + piece.word, segment, shows(head) ? shift + head : -1,
           class_of_.emplace(text.names[w], shift + piece.word).first->second,
           {piece.begin, piece.end});
      const std::vector<ByteSpan>& unparsed = text.unparsed;
      while (part < unparsed.size() && unparsed[part].end <= piece.begin) ++part;
      sample_.unparsed += part < unparsed.size() && unparsed[part].begin <= piece.begin;
    }
    for (const WordLink& link : forest.links) {
      if (!shows(link.a) || !shows(link.b)) continue;
      sample_.links.push_back(shift + link.a);
      sample_.links.push_back(shift + link.b);
    }
    // Words behind the last piece are none: nothing refers to them.
    const int32_t words = text.pieces.empty() ? 0 : text.pieces.back().word + 1;
    for (int32_t w = first; w < words; ++w) {
      sample_.places.push_back(text.words[static_cast<size_t>(w)]);
      sample_.text_of.push_back(segment);
      ++first_word_;
    }
  }
  void push(int32_t id, int32_t word, uint8_t segment, int32_t head, int32_t of_class,
            const ByteSpan& place) {
    sample_.ids.push_back(id);
    sample_.words.push_back(word);
    sample_.segments.push_back(segment);
    sample_.heads.push_back(head);
    sample_.classes.push_back(of_class);
    sample_.pieces.push_back(place);
  }
  void special(int32_t id, uint8_t segment) { push(id, -1, segment, -1, -1, {}); }

  Sample sample_;
  int32_t first_word_ = 0;  // number of the text's first word in the sample
  std::unordered_map<std::string_view, int32_t> class_of_;  // the first word with this name
};

/// Pieces of each text that fit: the longer one gives way.
std::vector<TextPart> cut(const std::vector<TokenizedText>& texts, int64_t max_length) {
  std::vector<TextPart> parts;
  size_t total = 0;
  for (const TokenizedText& text : texts) {
    parts.push_back({&text, 0, text.pieces.size()});
    total += text.pieces.size();
  }
  const size_t room = static_cast<size_t>(max_length) - 1 - texts.size();
  if (total <= room) return parts;
  if (parts.size() == 1) {
    parts[0].end = room;
    return parts;
  }
  // What remains of two lengths a, b when the longer always loses a token.
  const size_t half = room / 2;
  size_t &a = parts[0].end, &b = parts[1].end;
  if (a <= half) {
    b = room - a;
  } else if (b <= half) {
    a = room - b;
  } else {
    a = room - half;
    b = half;
  }
  return parts;
}

}  // namespace

TokenizedText tokenize(std::string_view where, const Tokenizer& tokenizer, const std::string& text,
                       const Syntax* syntax) {
  TokenizedText result;
  result.text = text;
  result.specials = tokenizer.specials();
  const auto form = [&](const ByteSpan& span) {
    return fold_case(std::string_view(text).substr(static_cast<size_t>(span.begin),
                                                   static_cast<size_t>(span.end - span.begin)));
  };
  if (syntax == nullptr) {
    result.pieces = tokenizer.encode(text);  // which throws for what is no UTF-8
    result.words = split_words(text);
    for (const ByteSpan& span : result.words) result.names.push_back(form(span));
  } else {
    result.has_syntax = true;
    result.pieces = tokenizer.encode(text, syntax->words);
    result.words = syntax->words;
    for (size_t w = 0; w < syntax->words.size(); ++w) {
      const bool has_lemma = w < syntax->lemmas.size() && !syntax->lemmas[w].empty();
      result.names.push_back(has_lemma ? fold_case(syntax->lemmas[w]) : form(syntax->words[w]));
    }
    if (!result.words.empty()) result.forest = span_forest(*syntax, result.pieces);
    result.unparsed = syntax->unparsed;
  }
  // White space alone may have pieces (byte-level BPE), but no word.
  if (result.pieces.empty() || result.names.empty()) throw DataError(where, "the text is empty");
  return result;
}

Sample join_parts(std::span<const TextPart> parts) { return SampleBuilder(parts).take(); }

Sample make_sample(std::string_view where, const Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, int64_t max_length,
                   std::span<const Syntax> syntax) {
  std::vector<TokenizedText> tokenized;
  for (size_t t = 0; t < texts.size(); ++t) {
    const Syntax* links = t < syntax.size() ? &syntax[t] : nullptr;
    tokenized.push_back(tokenize(where, tokenizer, texts[t], links));
  }
  const std::vector<TextPart> parts = cut(tokenized, max_length);
  Sample sample = join_parts(parts);
  for (const TextPart& part : parts) {
    sample.truncated = sample.truncated || part.end < part.text->pieces.size();
  }
  return sample;
}

}  // namespace filigree
