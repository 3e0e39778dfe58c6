#include "tasks/dataset/sample.h"

#include <string_view>
#include <unordered_map>

#include "core/error.h"

namespace filigree {

namespace {

/// A text cut into pieces, each with its word, and the links between the words.
struct Sentence {
  std::vector<Piece> pieces;
  std::vector<ByteSpan> words;
  std::vector<std::string> names;  // (words) what a word has in common with words of its class
  WordForest forest;               // no heads without syntax
  std::vector<ByteSpan> unparsed;  // ascending
};

/// Puts one sample together.
class SampleBuilder {
 public:
  SampleBuilder(const std::vector<Sentence>& sentences, const SpecialIds& ids, int64_t max_length,
                bool has_syntax) {
    const std::vector<size_t> kept = cut(sentences, max_length);
    special(ids.cls, 0);
    for (size_t s = 0; s < sentences.size(); ++s) {
      add(sentences[s], kept[s], static_cast<uint8_t>(s));
      special(ids.sep, static_cast<uint8_t>(s));
    }
    if (sentences.size() == 1) sample_.segments.clear();
    if (!has_syntax) sample_.heads.clear();
  }

  Sample take() { return std::move(sample_); }

 private:
  /// Pieces of each sentence that fit: the longer one gives way.
  std::vector<size_t> cut(const std::vector<Sentence>& sentences, int64_t max_length) {
    std::vector<size_t> kept;
    for (const Sentence& sentence : sentences) kept.push_back(sentence.pieces.size());
    const size_t room = static_cast<size_t>(max_length) - 1 - sentences.size();
    const size_t total = kept.front() + (kept.size() > 1 ? kept.back() : 0);
    sample_.truncated = total > room;
    if (!sample_.truncated) return kept;
    if (kept.size() == 1) return {room};
    // What remains of two lengths a, b when the longer always loses a token.
    const size_t half = room / 2, a = kept[0], b = kept[1];
    if (a <= half) return {a, room - a};
    if (b <= half) return {room - b, b};
    return {room - half, half};
  }
  void add(const Sentence& sentence, size_t kept, uint8_t segment) {
    const WordForest& forest = sentence.forest;
    const int32_t words_kept = kept == 0 ? 0 : sentence.pieces[kept - 1].word + 1;
    size_t part = 0;  // the first unparsed sentence that ends behind the piece's begin
    for (size_t i = 0; i < kept; ++i) {
      const Piece& piece = sentence.pieces[i];
      int32_t head = forest.heads.empty() ? -1 : forest.heads[static_cast<size_t>(piece.word)];
      if (head >= words_kept) head = -1;  // it was cut away
      const int32_t word = first_word_ + piece.word;
      const std::string_view name = sentence.names[static_cast<size_t>(piece.word)];
      push(piece.id, word, segment, head < 0 ? -1 : first_word_ + head,
           class_of_.emplace(name, word).first->second, {piece.begin, piece.end});
      const std::vector<ByteSpan>& unparsed = sentence.unparsed;
      while (part < unparsed.size() && unparsed[part].end <= piece.begin) ++part;
      sample_.unparsed += part < unparsed.size() && unparsed[part].begin <= piece.begin;
    }
    for (const WordLink& link : forest.links) {
      if (link.b >= words_kept) continue;
      sample_.links.push_back(first_word_ + link.a);
      sample_.links.push_back(first_word_ + link.b);
    }
    // Words behind the last piece are none: nothing refers to them.
    const size_t words = sentence.pieces.empty() ? 0 : size_t(sentence.pieces.back().word) + 1;
    for (size_t w = 0; w < words; ++w) {
      sample_.places.push_back(sentence.words[w]);
      sample_.text_of.push_back(segment);
    }
    first_word_ += static_cast<int32_t>(words);
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

Sentence tokenize(const Tokenizer& tokenizer, const std::string& text, const Syntax* syntax) {
  Sentence sentence;
  const auto form = [&](const ByteSpan& span) {
    return fold_case(std::string_view(text).substr(static_cast<size_t>(span.begin),
                                                   static_cast<size_t>(span.end - span.begin)));
  };
  if (syntax == nullptr) {
    sentence.pieces = tokenizer.encode(text);  // which throws for what is no UTF-8
    sentence.words = split_words(text);
    for (const ByteSpan& span : sentence.words) sentence.names.push_back(form(span));
  } else {
    sentence.pieces = tokenizer.encode(text, syntax->words);
    sentence.words = syntax->words;
    for (size_t w = 0; w < syntax->words.size(); ++w) {
      const bool has_lemma = w < syntax->lemmas.size() && !syntax->lemmas[w].empty();
      sentence.names.push_back(has_lemma ? fold_case(syntax->lemmas[w]) : form(syntax->words[w]));
    }
    sentence.forest = span_forest(*syntax, sentence.pieces);
    sentence.unparsed = syntax->unparsed;
  }
  return sentence;
}

}  // namespace

Sample make_sample(std::string_view where, const Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, int64_t max_length,
                   std::span<const Syntax> syntax) {
  std::vector<Sentence> sentences;
  for (size_t t = 0; t < texts.size(); ++t) {
    sentences.push_back(tokenize(tokenizer, texts[t], t < syntax.size() ? &syntax[t] : nullptr));
    // White space alone may have pieces (byte-level BPE), but no word.
    if (sentences.back().pieces.empty() || sentences.back().names.empty()) {
      throw DataError(where, "the text is empty");
    }
  }
  Sample sample =
      SampleBuilder(sentences, tokenizer.specials(), max_length, !syntax.empty()).take();
  sample.texts = texts;
  return sample;
}

}  // namespace filigree
