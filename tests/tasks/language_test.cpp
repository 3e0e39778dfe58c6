// The built-in language: balance, trees, and that each labelling needs its connection.
#include "tasks/language/language.h"

#include <gtest/gtest.h>
#include <map>
#include <set>

#include "core/error.h"
#include "nn/classifier.h"
#include "tasks/dataset/batch.h"
#include "tasks/readers/record_reader.h"
#include "tasks/task/classes.h"
#include "tasks/tokenizer/tokenizer.h"
#include "tasks/training/evaluate.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::TemporaryFolder;

class Language : public ::testing::TestWithParam<Labelling> {};

std::multiset<std::string> words_of(const LanguageSentence& sentence) {
  std::multiset<std::string> words;
  for (const LanguageWord& word : sentence.words) words.insert(word.form);
  return words;
}

/// Logits of two sentences under a pattern, by a model of random weights in float64.
std::vector<std::vector<double>> outputs(Labelling labelling, const std::string& pattern,
                                         uint64_t seed, const LanguageSentence& a,
                                         const LanguageSentence& b) {
  static const std::vector<std::string> vocabulary = language_vocabulary();
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  static const Tokenizer tokenizer = Tokenizer::train(words, vocabulary);
  EncoderConfig config;
  config.vocabulary = tokenizer.vocabulary();
  config.width = 16;
  config.layers = 2;
  config.heads = 2;
  config.ffn = 32;
  config.max_positions = 0;
  SequenceClassifier model(config, 2, Pool::first, DType::f64);
  initialise(model, 0.5, seed);
  const AttentionPlan plan(pattern, "all", "all", 2, 2);
  std::vector<std::vector<double>> rows;
  for (const LanguageSentence* sentence : {&a, &b}) {
    const Sample sample = make_sample(name_of(labelling), tokenizer, {sentence->text()}, 512);
    const Tensor outputs = outputs_of(model, plan, make_batch(sample), seed).values;
    rows.push_back(probabilities_of(outputs).front());
  }
  return rows;
}

}  // namespace

TEST_P(Language, PairsAreBalancedAndASentenceDependsOnItsNumberAlone) {
  const auto all = generate_sentences(GetParam(), 7, 0, 200);
  ASSERT_EQ(all.size(), 200u);
  int first_is_zero = 0;
  for (size_t i = 0; i < all.size(); i += 2) {
    EXPECT_NE(all[i].label, all[i + 1].label);
    first_is_zero += all[i].label == 0 ? 1 : 0;
  }
  // 100 throws of a coin: outside of 20 .. 80 once in 10^9 times.
  EXPECT_GT(first_is_zero, 20);
  EXPECT_LT(first_is_zero, 80);
  const auto part = generate_sentences(GetParam(), 7, 33, 11);
  for (size_t i = 0; i < part.size(); ++i) {
    EXPECT_EQ(part[i].text(), all[33 + i].text());
    EXPECT_EQ(part[i].label, all[33 + i].label);
  }
  EXPECT_NE(generate_sentences(GetParam(), 8, 0, 2)[0].text(), all[0].text());
}

TEST_P(Language, TreesHaveOneRootAndNoCircle) {
  const std::vector<std::string> known = language_vocabulary();
  const std::set<std::string> vocabulary(known.begin(), known.end());
  for (const LanguageSentence& sentence : generate_sentences(GetParam(), 1, 0, 300)) {
    int roots = 0;
    const auto count = static_cast<int32_t>(sentence.words.size());
    for (const LanguageWord& word : sentence.words) {
      EXPECT_TRUE(vocabulary.contains(word.form)) << word.form;
      roots += word.head == -1 ? 1 : 0;
      EXPECT_EQ(word.head == -1, word.relation == "root") << sentence.text() << ": " << word.form;
      int32_t steps = 0;
      for (int32_t at = word.head; at >= 0 && steps <= count; ++steps) {
        ASSERT_LT(at, count);
        at = sentence.words[static_cast<size_t>(at)].head;
      }
      EXPECT_LE(steps, count) << "a circle in " << sentence.text();
    }
    EXPECT_EQ(roots, 1) << sentence.text();
  }
}

TEST_P(Language, WrittenTreesReadBack) {
  const TemporaryFolder folder;
  LanguageOptions options;
  options.labelling = GetParam();
  options.train = 20;
  options.dev = 10;
  write_language(options, folder.path());
  const auto sentences = generate_sentences(GetParam(), options.seed, 20, 10);
  const std::string name = std::string(name_of(GetParam())) + ".dev";
  const auto trees = RecordReader::open(folder.path() / (name + ".conllu"), {"text", "label"}, {});
  const auto table = RecordReader::open(folder.path() / (name + ".tsv"), {"sentence", "label"}, {});
  for (const LanguageSentence& sentence : sentences) {
    const auto tree = trees->next(), row = table->next();
    ASSERT_TRUE(tree && row);
    EXPECT_EQ(tree->values, row->values);
    EXPECT_EQ(tree->values[0], sentence.text());
    EXPECT_EQ(tree->values[1], label_names(GetParam())[static_cast<size_t>(sentence.label)]);
    ASSERT_EQ(tree->words.size(), sentence.words.size());
    for (size_t w = 0; w < sentence.words.size(); ++w) {
      EXPECT_EQ(tree->words[w].form, sentence.words[w].form);
      EXPECT_EQ(tree->words[w].head, sentence.words[w].head);
    }
  }
  EXPECT_FALSE(trees->next() || table->next());
}

// The heart of it: without the connection the two sentences of a pair look the same to the model,
// whatever its weights; so half of all sentences are classified wrongly. With it they differ.
TEST_P(Language, WithoutItsConnectionNoModelTellsAPairApart) {
  const NeededConnection needed = needed_connection(GetParam());
  const auto sentences = generate_sentences(GetParam(), 3, 0, 40);
  int told_apart = 0;
  for (size_t i = 0; i < sentences.size(); i += 2) {
    const auto blind = outputs(GetParam(), needed.without, i, sentences[i], sentences[i + 1]);
    EXPECT_NEAR(blind[0][0], blind[1][0], 1e-12) << sentences[i].text();
    const auto seeing = outputs(GetParam(), needed.with, i, sentences[i], sentences[i + 1]);
    told_apart += std::abs(seeing[0][0] - seeing[1][0]) > 1e-9 ? 1 : 0;
  }
  EXPECT_EQ(told_apart, 20);
}

TEST(LanguageLabels, FollowTheirDefinitions) {
  for (const LanguageSentence& s : generate_sentences(Labelling::lexical, 2, 0, 200)) {
    std::map<std::string, int> nouns;
    for (const LanguageWord& word : s.words) {
      if (word.relation == "obj" || word.relation == "conj")
        nouns[word.form] += word.part == "NOUN";
    }
    bool twice = false;
    for (const auto& [noun, count] : nouns) twice = twice || count == 2;
    EXPECT_EQ(twice, s.label == 1) << s.text();
  }
  for (const LanguageSentence& s : generate_sentences(Labelling::syntactic, 2, 0, 200)) {
    bool agree = true;
    for (size_t i = 0; i < s.words.size(); ++i) {
      if (s.words[i].relation != "nsubj" || s.words[i].part != "NOUN") continue;
      const bool plural = s.words[i].form.back() == 's';
      agree = agree && plural != (s.words[static_cast<size_t>(s.words[i].head)].form.back() == 's');
    }
    EXPECT_EQ(agree, s.label == 0) << s.text();
  }
  for (const auto& [labelling, place] :
       {std::pair(Labelling::second, 1), {Labelling::fifth, 4}, {Labelling::ninth, 8}}) {
    std::set<std::string> said[2];  // in that place, by label
    for (const LanguageSentence& s : generate_sentences(labelling, 2, 0, 400)) {
      said[s.label].insert(s.words[static_cast<size_t>(place)].form);
    }
    EXPECT_GT(said[0].size(), 3U);
    for (const std::string& word : said[0]) EXPECT_FALSE(said[1].contains(word)) << word;
  }
  for (const Labelling same_words : {Labelling::local, Labelling::syntactic, Labelling::second,
                                     Labelling::fifth, Labelling::ninth}) {
    const auto sentences = generate_sentences(same_words, 5, 0, 100);
    for (size_t i = 0; i < sentences.size(); i += 2) {
      EXPECT_EQ(words_of(sentences[i]), words_of(sentences[i + 1]));
    }
  }
}

TEST(LanguageErrors, SayWhatIsWrong) {
  const TemporaryFolder folder;
  LanguageOptions odd;
  odd.train = 3;
  EXPECT_THROW(write_language(odd, folder.path()), ConfigError);
  try {
    parse_labelling("lexicla");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("lexical"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Language, ::testing::ValuesIn(all_labellings()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace filigree
