#include "tasks/dataset/sample.h"

#include <unordered_map>

#include "core/error.h"

namespace filigree {

namespace {

/// A sentence cut into pieces, each with its word and, from a tree, the head of that word.
struct Sentence {
  std::vector<Piece> pieces;
  std::vector<int32_t> heads;      // a word; empty without a tree
  std::vector<std::string> names;  // a word: what it has in common with words of its class
};

/// Puts one sample together.
class SampleBuilder {
 public:
  SampleBuilder(const std::vector<Sentence>& sentences, int64_t max_length) {
    std::vector<size_t> kept = cut(sentences, max_length);
    special(Tokenizer::kCls, 0);
    int32_t first_word = 0;
    std::unordered_map<std::string_view, int32_t> class_of;  // the first word with this name
    for (size_t s = 0; s < sentences.size(); ++s) {
      const Sentence& sentence = sentences[s];
      const auto segment = static_cast<uint8_t>(s);
      const int32_t words_kept = kept[s] == 0 ? 0 : sentence.pieces[kept[s] - 1].word + 1;
      for (size_t i = 0; i < kept[s]; ++i) {
        const Piece& piece = sentence.pieces[i];
        int32_t head = -1;
        if (!sentence.heads.empty()) head = sentence.heads[static_cast<size_t>(piece.word)];
        if (head >= words_kept) head = -1;  // it was cut away
        const int32_t word = first_word + piece.word;
        const std::string_view name = sentence.names[static_cast<size_t>(piece.word)];
        push(piece.id, word, segment, head < 0 ? -1 : first_word + head,
             class_of.emplace(name, word).first->second);
      }
      special(Tokenizer::kSep, segment);
      if (!sentence.pieces.empty()) first_word += sentence.pieces.back().word + 1;
    }
    if (sentences.size() == 1) sample_.segments.clear();
    if (sentences.front().heads.empty()) sample_.heads.clear();
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
  void push(int32_t id, int32_t word, uint8_t segment, int32_t head, int32_t of_class) {
    sample_.ids.push_back(id);
    sample_.words.push_back(word);
    sample_.segments.push_back(segment);
    sample_.heads.push_back(head);
    sample_.classes.push_back(of_class);
  }
  void special(int32_t id, uint8_t segment) { push(id, -1, segment, -1, -1); }

  Sample sample_;
};

Sentence tokenize(const Tokenizer& tokenizer, const std::string& text,
                  const std::vector<TreeWord>& tree) {
  Sentence sentence;
  const auto form = [&](const ByteSpan& span) {
    return fold_case(std::string_view(text).substr(static_cast<size_t>(span.begin),
                                                   static_cast<size_t>(span.end - span.begin)));
  };
  if (tree.empty()) {
    sentence.pieces = tokenizer.encode(text);  // which throws for what is no UTF-8
    for (const ByteSpan& span : split_words(text)) sentence.names.push_back(form(span));
    return sentence;
  }
  std::vector<ByteSpan> spans;  // the words of a contraction share one span: kept once
  std::vector<int32_t> word_of_span, span_of_word;
  for (size_t w = 0; w < tree.size(); ++w) {
    if (spans.empty() || !(spans.back() == tree[w].span)) {
      spans.push_back(tree[w].span);
      word_of_span.push_back(static_cast<int32_t>(w));
    }
    span_of_word.push_back(static_cast<int32_t>(spans.size()) - 1);
  }
  sentence.pieces = tokenizer.encode(text, spans);
  for (size_t s = 0; s < spans.size(); ++s) {
    const auto first = static_cast<size_t>(word_of_span[s]);
    const bool alone = first + 1 == tree.size() || span_of_word[first + 1] != span_of_word[first];
    sentence.names.push_back(alone && !tree[first].lemma.empty() ? fold_case(tree[first].lemma)
                                                                 : form(spans[s]));
    // The head of a contraction is the first head outside of it, -1 if its words hold the root.
    int32_t head = -1;
    for (size_t w = first; w < tree.size() && span_of_word[w] == static_cast<int32_t>(s); ++w) {
      const int32_t outer = tree[w].head < 0 ? -1 : span_of_word[static_cast<size_t>(tree[w].head)];
      if (outer == static_cast<int32_t>(s)) continue;
      head = outer;
      break;
    }
    sentence.heads.push_back(head);
  }
  return sentence;
}

}  // namespace

Sample make_sample(std::string_view where, const Tokenizer& tokenizer,
                   const std::vector<std::string>& texts, int64_t max_length,
                   const std::vector<TreeWord>& tree) {
  std::vector<Sentence> sentences;
  for (const std::string& text : texts) {
    sentences.push_back(
        tokenize(tokenizer, text, sentences.empty() ? tree : std::vector<TreeWord>()));
    if (sentences.back().pieces.empty()) throw DataError(where, "the text is empty");
  }
  return SampleBuilder(sentences, max_length).take();
}

}  // namespace filigree
