// Parsing texts: the cache, resuming, and real English where link-grammar is built in.
#include "tasks/syntax/parse_texts.h"

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/prepare.h"
#include "tasks/syntax/link_parser.h"
#include "tasks/syntax/parse_cache.h"
#include "tasks/text/sentences.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryFolder;

std::vector<std::string> sentences_of(const std::string& text) {
  std::vector<std::string> sentences;
  for (const ByteSpan& span : split_sentences(text)) {
    sentences.push_back(
        text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
  }
  return sentences;
}

/// Takes every word for linked to the next one; spins over "slow", dies of "die".
SentenceParser start_chain(std::string& identity) {
  identity = "chain 1";
  return [](std::string_view sentence) {
    if (sentence.find("die") != std::string_view::npos) raise(SIGKILL);
    if (sentence.find("slow") != std::string_view::npos) {
      for (volatile int64_t i = 0;;) i = i + 1;
    }
    Linkage linkage{ParseOutcome::complete, 0, 0, split_words(sentence), {}};
    for (int32_t w = 1; w < static_cast<int32_t>(linkage.words.size()); ++w) {
      linkage.links.push_back({w - 1, w});
    }
    return linkage;
  };
}

ParseOptions chain(const std::filesystem::path& cache, int threads = 1) {
  ParseOptions options;
  options.threads = threads;
  options.cache = cache;
  options.parser = start_chain;
  options.seconds = 20;
  return options;
}

/// Parser that must not be asked.
ParseOptions no_parser(const std::filesystem::path& cache) {
  ParseOptions options = chain(cache);
  options.parser = [](std::string& identity) -> SentenceParser {
    identity = "chain 1";
    return [](std::string_view) -> Linkage { _exit(9); };
  };
  return options;
}

int parts_in(const std::filesystem::path& folder) {
  int parts = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    parts += entry.path().extension() == ".safetensors";
  }
  return parts;
}

class ParseTexts : public ::testing::Test {
 protected:
  /// Prepares the texts, one a line; the bytes of the dataset.
  std::string prepare_lines(const std::string& lines, const ParseOptions& parse) {
    write_file(folder_ / "in.txt", lines);
    TokenizerOptions words;
    words.kind = TokenizerKind::word;
    words.vocabulary = 10'000;
    const Tokenizer tokenizer = Tokenizer::train(words, std::vector<std::string>{lines});
    PrepareOptions options;
    options.text = "text";
    options.label = "";
    options.parse = parse;
    options.observer.note = [this](const std::string& note) { notes_.push_back(note); };
    report_ = prepare(folder_ / "in.txt", tokenizer, options, folder_ / "out");
    return read_file(folder_ / "out");
  }

  TemporaryFolder folder_;
  PrepareReport report_;
  std::vector<std::string> notes_;
};

/// Real parsing; skipped where the build has no link-grammar.
class LinkGrammar : public ParseTexts {
 protected:
  void SetUp() override {
    if (link_grammar_version().empty()) GTEST_SKIP() << "this build has no link-grammar";
    options_.cache = folder_ / "cache";
    options_.threads = 1;
    options_.seconds = 30;
  }
  ParseOptions options_;
};

constexpr const char* kLines =
    "The cat sat on the mat. It didn't move!\n"
    "a moving and often funny film . the end is weak .\n"
    "Mr. Smith bought 3.5% of the U.S. market.\n";

}  // namespace

TEST(Sentences, EndWhereTheyEnd) {
  EXPECT_THAT(sentences_of("Mr. Smith came. He said: \"No!\"  Then?\nA line"),
              ElementsAre("Mr. Smith came.", "He said: \"No!\"", "Then?", "A line"));
  EXPECT_THAT(sentences_of("it works . it does ! and ... so on"),
              ElementsAre("it works .", "it does !", "and ... so on"));
  EXPECT_THAT(sentences_of(" . "), ElementsAre("."));
  EXPECT_THAT(sentences_of(""), IsEmpty());
  EXPECT_THAT(sentences_of(" \n\t "), IsEmpty());
  EXPECT_THAT(sentences_of("caf\xc3\xa9 \xf0\x9f\x98\x80. Und?"),
              ElementsAre("caf\xc3\xa9 \xf0\x9f\x98\x80.", "Und?"));
}

TEST_F(ParseTexts, LinksHeadsAndCountsReachTheDataset) {
  prepare_lines("one two three. four\nfive\n", chain(folder_ / "cache"));
  const TokenDataset dataset = TokenDataset::open(folder_ / "out");
  EXPECT_EQ(dataset.info().syntax, "chain 1");
  EXPECT_THAT(dataset.words(0), ElementsAre(-1, 0, 1, 2, 3, 4, -1));
  EXPECT_THAT(dataset.heads(0), ElementsAre(-1, -1, 0, 1, 2, 3, -1));
  EXPECT_EQ(report_.parses.sentences, 2);
  EXPECT_EQ(report_.links, 4);
  EXPECT_EQ(report_.alone, 1);
  EXPECT_EQ(report_.unparsed, 0);
}

TEST_F(ParseTexts, TimedOutSentencesKeepNoLinksAndAreCounted) {
  ParseOptions options = chain(folder_ / "cache");
  options.seconds = 0.05;
  const std::string bytes = prepare_lines("one two. Slow slow three.\nslow\n", options);
  EXPECT_EQ(report_.parses.timed_out, 2);
  EXPECT_EQ(report_.parses.complete, 1);
  EXPECT_EQ(report_.unparsed, 5);
  const TokenDataset dataset = TokenDataset::open(folder_ / "out");
  EXPECT_THAT(dataset.heads(0), ElementsAre(-1, -1, 0, 1, -1, -1, -1, -1, -1));
  EXPECT_THAT(dataset.heads(1), ElementsAre(-1, -1, -1));
  // The same limit asks the cache, a larger one asks again.
  ParseOptions again = no_parser(folder_ / "cache");
  again.seconds = 0.05;
  EXPECT_EQ(prepare_lines("one two. Slow slow three.\nslow\n", again), bytes);
  EXPECT_THROW(prepare_lines("one two. Slow slow three.\nslow\n", no_parser(folder_ / "cache")),
               FileError);
}

TEST_F(ParseTexts, TheCacheAndAnyNumberOfThreadsGiveTheSameBytes) {
  std::string lines;
  for (int i = 0; i < 60; ++i) lines += "line " + std::to_string(i) + " of some . words\n";
  const std::string bytes = prepare_lines(lines, chain(folder_ / "one", 1));
  EXPECT_EQ(prepare_lines(lines, chain(folder_ / "three", 3)), bytes);
  EXPECT_EQ(prepare_lines(lines, no_parser(folder_ / "one")), bytes);
  EXPECT_EQ(parts_in(folder_ / "one"), 1);
}

TEST_F(ParseTexts, ARunThatWasCutOffGoesOn) {
  const auto cache = folder_.path() / "cache";
  const std::string whole = prepare_lines("a b\nc d\nf g\n", chain(folder_ / "other"));
  // Sentences are parsed in order; the third ends the parser from outside.
  EXPECT_THROW(prepare_lines("a b\nc d\ndie die\n", chain(cache)), FileError);
  EXPECT_THAT(ParseCache(cache, "chain 1").size(), 2);
  EXPECT_EQ(prepare_lines("a b\nc d\nf g\n", chain(cache)), whole);
  EXPECT_EQ(parts_in(cache), 1);
  EXPECT_EQ(prepare_lines("a b\nc d\nf g\n", no_parser(cache)), whole);
}

TEST_F(ParseTexts, AStopKeepsWhatIsParsed) {
  write_file(folder_ / "in.txt", "a b\nc d\ne f\ng h\n");
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  PrepareOptions options;
  options.text = "text";
  options.label = "";
  options.parse = chain(folder_ / "cache");
  int64_t done = 0;
  options.observer.progress = [&](const ParseProgress& p) { done = p.done; };
  options.observer.stop = [&] { return done >= 2; };
  const Tokenizer tokenizer = Tokenizer::train(words, std::vector<std::string>{"a b c d e f g h"});
  report_ = prepare(folder_ / "in.txt", tokenizer, options, folder_ / "out");
  EXPECT_TRUE(report_.stopped);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  EXPECT_EQ(ParseCache(folder_ / "cache", "chain 1").size(), done);
}

TEST_F(ParseTexts, ADamagedCacheFileIsParsedAgain) {
  const auto cache = folder_.path() / "cache";
  const std::string bytes = prepare_lines("a b\nc d\n", chain(cache));
  const std::filesystem::path part = std::filesystem::directory_iterator(cache)->path();
  const std::string whole = read_file(part);
  for (size_t at = 0; at < whole.size(); at += 11) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x11);
    write_file(part, at % 2 == 0 ? std::string_view(changed) : whole.substr(0, at));
    const ParseCache damaged(cache, "chain 1");
    EXPECT_EQ(damaged.size(), 0) << at;
    ASSERT_EQ(damaged.notes().size(), 1U) << at;
    EXPECT_THAT(damaged.notes()[0], HasSubstr(part.filename().string()));
  }
  EXPECT_EQ(prepare_lines("a b\nc d\n", chain(cache)), bytes);
  EXPECT_EQ(notes_.size(), 1U);
  notes_.clear();
  EXPECT_EQ(prepare_lines("a b\nc d\n", no_parser(cache)), bytes);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(ParseTexts, ParsesOfAnotherParserAreLeftAlone) {
  const auto cache = folder_.path() / "cache";
  prepare_lines("a b\n", chain(cache));
  ParseCache other(cache, "chain 2");
  EXPECT_EQ(other.size(), 0);
  EXPECT_THAT(other.notes(), IsEmpty());
  other.add("a b", {ParseOutcome::refused, 1, -1, {}, {}});
  other.tidy();
  EXPECT_EQ(ParseCache(cache, "chain 1").size(), 1);
  EXPECT_EQ(ParseCache(cache, "chain 2").size(), 1);
}

// Of samples that the label map leaves out nothing is parsed, and nothing is missed.
TEST_F(ParseTexts, WhatTheLabelMapLeavesOutIsNotParsed) {
  write_file(folder_ / "in.tsv", "text\tlabel\na b\tx\nnot this\t-\nc d\ty\n");
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(words, std::vector<std::string>{"a b c d not this"});
  PrepareOptions options;
  options.text = "text";
  options.label_map = parse_label_map("x=x,y=y,-=");
  options.parse = chain(folder_ / "cache");
  report_ = prepare(folder_ / "in.tsv", tokenizer, options, folder_ / "out");
  EXPECT_EQ(report_.samples, 2);
  EXPECT_EQ(report_.left_out, 1);
  EXPECT_EQ(report_.parses.sentences, 2);
  options.label_map = parse_label_map("x=x,y=,-=,z=z");
  write_file(folder_ / "none.tsv", "text\tlabel\na b\ty\n");
  try {
    prepare(folder_ / "none.tsv", tokenizer, options, folder_ / "none");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("all 1 samples are left out by --label-map"));
  }
}

TEST_F(ParseTexts, BadLinesAreLeftOutForTheirOwnReasons) {
  write_file(folder_ / "in.tsv", "text\tlabel\na b\tx\nonly here\tghost\nno columns\nc d\ty\n");
  TokenizerOptions words;
  words.kind = TokenizerKind::word;
  const Tokenizer tokenizer = Tokenizer::train(words, std::vector<std::string>{"a b c d only"});
  PrepareOptions options;
  options.text = "text";
  options.labels = {"x", "y"};
  options.parse = chain(folder_ / "cache");
  options.skip_bad_lines = 2;
  report_ = prepare(folder_ / "in.tsv", tokenizer, options, folder_ / "out");
  EXPECT_EQ(report_.samples, 2);
  EXPECT_EQ(report_.skipped, 2);
  EXPECT_THAT(report_.bad_lines, ElementsAre(HasSubstr("in.tsv:3] expected a label among x, y"),
                                             HasSubstr("in.tsv:4] expected 2 columns, got 1")));
  EXPECT_EQ(report_.parses.sentences, 2);
  options.skip_bad_lines = 1;
  EXPECT_THROW(prepare(folder_ / "in.tsv", tokenizer, options, folder_ / "out"), DataError);
}

TEST_F(ParseTexts, FilesThatAreNotOfTheCacheAreKept) {
  const auto cache = folder_.path() / "cache";
  prepare_lines("a b\n", chain(cache));
  const std::string digits(32, '0');
  SafetensorsWriter foreign;
  foreign.metadata("format", "a model");
  foreign.add_array<int32_t>("x", std::vector<int32_t>{1, 2}, {2});
  foreign.save(cache / ("part-" + digits + ".safetensors"));
  const std::vector<std::string> own{"part-1.safetensors", "part-of-a-model.safetensors",
                                     "part-" + std::string(31, '0') + "g.safetensors"};
  for (const std::string& name : own) write_file(cache / name, "the user's");
  const std::string damaged = "part-" + std::string(32, 'f') + ".safetensors";
  write_file(cache / damaged, "an unreadable file with a name of ours");
  notes_.clear();
  prepare_lines("a b\nc d\n", chain(cache));
  ASSERT_EQ(notes_.size(), 1U);
  EXPECT_THAT(notes_[0], HasSubstr(damaged));
  for (const std::string& name : own) EXPECT_EQ(read_file(cache / name), "the user's");
  EXPECT_TRUE(std::filesystem::exists(cache / ("part-" + digits + ".safetensors")));
  EXPECT_FALSE(std::filesystem::exists(cache / damaged));
  EXPECT_EQ(parts_in(cache), 5);  // three, the foreign one, and one of parses
}

TEST_F(ParseTexts, FilesThatCannotBeMadeOneAreNoError) {
  const auto other = folder_.path() / "other", cache = folder_.path() / "cache";
  const std::string bytes = prepare_lines("a b\nc d\n", chain(other));
  const std::filesystem::path whole = std::filesystem::directory_iterator(other)->path();
  prepare_lines("a b\n", chain(cache));
  // A folder stands where the one file would go.
  std::filesystem::create_directories(cache / whole.filename() / "x");
  EXPECT_EQ(prepare_lines("a b\nc d\n", chain(cache)), bytes);
  ASSERT_EQ(notes_.size(), 1U);
  EXPECT_THAT(notes_[0], HasSubstr("the parses stay in several files"));
  EXPECT_EQ(prepare_lines("a b\nc d\n", no_parser(cache)), bytes);
}

TEST_F(ParseTexts, TheTimeLeftIsUnknownBeforeTheFirstParse) {
  ParseOptions options = chain(folder_ / "cache");
  options.seconds = 0.6;  // some calls come before the first sentence is done
  std::vector<ParseProgress> seen;
  TextParser parser(options, {[&](const ParseProgress& p) { seen.push_back(p); }, {}, {}});
  parser.add("slow one. another two.");
  EXPECT_TRUE(parser.parse());
  ASSERT_FALSE(seen.empty());
  int unknown = 0;
  for (const ParseProgress& p : seen) {
    EXPECT_EQ(std::isinf(p.seconds_left), p.done == 0);
    EXPECT_GE(p.seconds_left, 0);
    unknown += p.done == 0;
  }
  EXPECT_GT(unknown, 0);
  EXPECT_EQ(seen.back().seconds_left, 0);
}

TEST_F(ParseTexts, TheCachesFolderIsMadeWhenThereIsSomethingToParse) {
  const auto cache = folder_.path() / "cache";
  EXPECT_TRUE(TextParser(chain(cache), {}).parse());
  EXPECT_FALSE(std::filesystem::exists(cache));
  prepare_lines("a b\n", chain(cache));
  EXPECT_EQ(parts_in(cache), 1);
}

TEST_F(ParseTexts, SenselessOptionsAreNamed) {
  for (const double seconds : {0.0, -1.0, 1e9}) {
    ParseOptions options = chain(folder_ / "cache");
    options.seconds = seconds;
    EXPECT_THROW(prepare_lines("a\n", options), ConfigError);
  }
  EXPECT_THROW(prepare_lines("a\n", chain(folder_ / "cache", -1)), ConfigError);
  ParseOptions no_memory = chain(folder_ / "cache");
  no_memory.memory = 0;
  EXPECT_THROW(prepare_lines("a\n", no_memory), ConfigError);
  write_file(folder_ / "file", "x");
  EXPECT_THROW(prepare_lines("a\n", chain(folder_ / "file")), FileError);
}

TEST(LinkGrammarAbsent, SaysWhatIsMissing) {
  if (!link_grammar_version().empty()) GTEST_SKIP() << "this build has link-grammar";
  const TemporaryFolder folder;
  ParseOptions options;
  options.cache = folder / "cache";
  EXPECT_THROW(TextParser(options, {}), ConfigError);
}

TEST_F(LinkGrammar, LinksSubjectVerbAndObject) {
  prepare_lines("the cat sees a dog\n", options_);
  const TokenDataset dataset = TokenDataset::open(folder_ / "out");
  EXPECT_THAT(dataset.heads(0), ElementsAre(-1, 1, 2, -1, 4, 2, -1));
  EXPECT_THAT(dataset.info().syntax, HasSubstr("link-grammar"));
  EXPECT_EQ(report_.parses.complete, 1);
}

TEST_F(LinkGrammar, SpansAreThoseOfTheText) {
  std::string identity;
  const SentenceParser parse = start_link_parser(identity);
  const std::string sentence =
      "Caf\xc3\xa9s don't\xc2\xa0sell 3.5% of \xe2\x80\x9ctea\xe2\x80\x9d.";
  const Linkage linkage = parse(sentence);
  ASSERT_TRUE(linkage.parsed());
  std::vector<std::string> words;
  for (const ByteSpan& span : linkage.words) {
    words.push_back(sentence.substr(static_cast<size_t>(span.begin),
                                    static_cast<size_t>(span.end - span.begin)));
  }
  EXPECT_THAT(words, ::testing::IsSupersetOf(
                         {"Caf\xc3\xa9s", "don't", "sell", "3.5", "%", "of", "tea", "."}));
}

TEST_F(LinkGrammar, ThreadsAndCacheGiveTheSameBytes) {
  const std::string bytes = prepare_lines(kLines, options_);
  EXPECT_EQ(report_.parses.sentences, 5);
  EXPECT_EQ(report_.parses.complete + report_.parses.partial, 5);
  EXPECT_EQ(prepare_lines(kLines, options_), bytes);  // from the cache
  options_.threads = 2;
  options_.cache = folder_ / "another";
  EXPECT_EQ(prepare_lines(kLines, options_), bytes);
}

TEST_F(LinkGrammar, OddTextNeverFails) {
  std::string lines;
  for (const std::string& line :
       {std::string("\xf0\x9f\x98\x80 I love this \xf0\x9f\x8e\xac !!!"), std::string("\"\" '' `"),
        std::string(5000, 'a') + " is here", std::string("no punctuation at all here"),
        std::string("\xe2\x80\x8b"), std::string("((((((((((((((((((("), std::string(300, '\''),
        std::string("she said: 'I \"can't\" go'."), std::string("x\x01y\x7fz"),
        std::string("\xe6\xbc\xa2\xe5\xad\x97 \xce\xa9")}) {
    lines += line + "\n";
  }
  for (int i = 0; i < 400; ++i) lines += "word ";  // more words than the parser takes
  prepare_lines(lines + "\n", options_);
  EXPECT_EQ(report_.samples, 11);
  EXPECT_GE(report_.parses.refused, 1);
  EXPECT_GE(report_.unparsed, 400);
  EXPECT_EQ(report_.parses.timed_out, 0);
}

}  // namespace filigree
