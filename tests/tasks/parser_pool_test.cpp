// Parser processes, with parsers made for the test: limits hold, crashes cost one sentence.
#include "tasks/syntax/parser_pool.h"

#include <csignal>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <new>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A parser that does what the sentence says; otherwise its first byte is a word.
SentenceParser start_obedient(std::string& identity) {
  identity = "obedient 1";
  return [](std::string_view sentence) -> Linkage {
    if (sentence == "spin") {
      for (volatile int64_t i = 0;;) i = i + 1;
    }
    if (sentence == "crash") std::abort();
    if (sentence == "exit") _exit(3);
    if (sentence == "die") raise(SIGKILL);
    if (sentence == "terminate") raise(SIGTERM);
    if (sentence == "hoard") {  // address space alone, up to 64 GiB
      constexpr size_t kPart = size_t{16} << 20;
      for (int i = 0; i < 4096; ++i) {
        if (mmap(nullptr, kPart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
            MAP_FAILED) {
          throw std::bad_alloc();
        }
      }
    }
    if (sentence == "throw") throw DataError("here", "no");
    if (sentence == "wrong") return {ParseOutcome::complete, 0, -1, {{0, 100}}, {}};
    return {ParseOutcome::complete, 0, 0, {{0, 1}}, {}};
  };
}

std::vector<ParseOutcome> outcomes(ParserPool& pool, const std::vector<std::string>& sentences,
                                   int32_t limit_ms = 60'000) {
  std::vector<ParseOutcome> all(sentences.size(), ParseOutcome::refused);
  std::vector<int> times(sentences.size());
  EXPECT_TRUE(pool.parse(
      sentences, limit_ms,
      [&](size_t i, const Linkage& linkage) {
        all[i] = linkage.outcome;
        ++times[i];
        EXPECT_EQ(linkage.limit_ms, limit_ms);
      },
      [] { return true; }));
  EXPECT_THAT(times, ::testing::Each(1));
  return all;
}

}  // namespace

TEST(ParserPool, EverySentenceComesBackOnce) {
  for (const int processes : {1, 2, 5}) {
    ParserPool pool(start_obedient, processes);
    EXPECT_EQ(pool.identity(), "obedient 1");
    EXPECT_THAT(outcomes(pool, std::vector<std::string>(40, "a")),
                ::testing::Each(ParseOutcome::complete));
    EXPECT_TRUE(outcomes(pool, {}).empty());
  }
}

TEST(ParserPool, ATimeoutCostsOneSentence) {
  ParserPool pool(start_obedient, 2);
  EXPECT_THAT(outcomes(pool, {"a", "spin", "b", "spin", "c"}, 50),
              ElementsAre(ParseOutcome::complete, ParseOutcome::timed_out, ParseOutcome::complete,
                          ParseOutcome::timed_out, ParseOutcome::complete));
}

TEST(ParserPool, ACrashCostsOneSentence) {
  ParserPool pool(start_obedient, 1);
  EXPECT_THAT(outcomes(pool, {"crash", "a", "throw", "wrong", "b", "crash"}),
              ElementsAre(ParseOutcome::refused, ParseOutcome::complete, ParseOutcome::refused,
                          ParseOutcome::refused, ParseOutcome::complete, ParseOutcome::refused));
}

TEST(ParserPool, WhatAsksForTooMuchMemoryIsRefused) {
  ParserPool pool(start_obedient, 2, int64_t{256} << 20);
  EXPECT_THAT(outcomes(pool, {"a", "hoard", "b", "hoard", "c"}),
              ElementsAre(ParseOutcome::complete, ParseOutcome::refused, ParseOutcome::complete,
                          ParseOutcome::refused, ParseOutcome::complete));
}

TEST(ParserPool, ATerminationOfTheWholeGroupIsTheParentsMatter) {
  const ParserStart start = [](std::string& identity) {
    raise(SIGTERM);
    return start_obedient(identity);
  };
  ParserPool pool(start, 3);
  EXPECT_THAT(outcomes(pool, {"a", "terminate", "b"}), ::testing::Each(ParseOutcome::complete));
}

TEST(ParserPool, AnEndFromOutsideIsAnError) {
  for (const std::string sentence : {"die", "exit"}) {
    ParserPool pool(start_obedient, 2);
    const std::vector<std::string> sentences{"a", sentence, "b"};
    EXPECT_THROW(pool.parse(
                     sentences, 1000, [](size_t, const Linkage&) {}, [] { return true; }),
                 FileError);
  }
}

TEST(ParserPool, StopsWhenAsked) {
  ParserPool pool(start_obedient, 2);
  const std::vector<std::string> sentences(100, "a");
  int done = 0;
  EXPECT_FALSE(pool.parse(
      sentences, 1000, [&](size_t, const Linkage&) { ++done; }, [&] { return done < 10; }));
  EXPECT_GE(done, 10);
  EXPECT_LT(done, 100);
}

TEST(ParserPool, AllParsersStartAtOnce) {
  // Every start but the first waits until all have begun: one after the other they never would.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int mine = getpid();
  bool first = true;
  const ParserStart start = [&](std::string& identity) {
    if (!first) {
      EXPECT_NE(getpid(), mine);
      if (write(ends[1], "x", 1) != 1) _exit(1);
      for (int waited = 0, begun = 0; begun < 2; ++waited) {
        if (ioctl(ends[0], FIONREAD, &begun) != 0 || waited > 10'000) _exit(1);
        usleep(1000);
      }
    }
    return start_obedient(identity);
  };
  ParserPool pool(start, 3);
  first = false;
  EXPECT_THAT(outcomes(pool, {"a", "b", "c"}), ::testing::Each(ParseOutcome::complete));
  close(ends[0]);
  close(ends[1]);
}

TEST(ParserPool, AParserThatDoesNotStartIsAnError) {
  const auto start_of = [](int kind) -> ParserStart {
    return [kind](std::string&) -> SentenceParser {
      if (kind == 0) throw ConfigError("x", "no library", "install it");
      if (kind == 1) throw FileError("x", "no dictionary");
      std::abort();
    };
  };
  try {
    ParserPool pool(start_of(0), 1);
    ADD_FAILURE() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[parse] no library\nhint: install it"));
  }
  EXPECT_THROW(ParserPool(start_of(1), 1), FileError);
  EXPECT_THROW(ParserPool(start_of(2), 1), FileError);
  EXPECT_THROW(ParserPool(start_obedient, 0), ConfigError);
}

TEST(Linkage, PacksAndRefusesWhatIsNone) {
  const Linkage linkage{ParseOutcome::partial, 7, 1, {{0, 2}, {3, 5}}, {{0, 1}}};
  const std::vector<int32_t> numbers = pack(linkage);
  Linkage back;
  ASSERT_TRUE(unpack(numbers, 5, back));
  EXPECT_EQ(pack(back), numbers);
  EXPECT_FALSE(unpack(numbers, 4, back));
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i == 1) continue;  // the limit may be anything
    std::vector<int32_t> wrong = numbers;
    wrong[i] = -7;
    EXPECT_FALSE(unpack(wrong, 5, back)) << i;
    wrong[i] = 1000;
    EXPECT_FALSE(unpack(wrong, 5, back)) << i;
    EXPECT_FALSE(unpack(std::span(numbers).first(i), 5, back)) << i;
  }
}

TEST(Linkage, LinksGoToTheWordsThatOverlap) {
  // Words of the text: it's U . S . fine; of the parser: it, 's, U.S., fine.
  const std::string text = "no. it's U.S. fine";
  const std::vector<ByteSpan> sentences{{0, 3}, {4, 18}};
  const std::vector<Linkage> linkages{
      {ParseOutcome::timed_out, 1, -1, {}, {}},
      {ParseOutcome::complete, 1, 1, {{0, 2}, {2, 4}, {5, 9}, {10, 14}}, {{0, 1}, {1, 2}, {2, 3}}}};
  const Syntax syntax = syntax_of_linkages(text, sentences, linkages);
  ASSERT_EQ(syntax.words.size(), 8U);  // no . it's U . S . fine
  EXPECT_THAT(syntax.unparsed, ElementsAre(ByteSpan{0, 3}));
  EXPECT_THAT(syntax.roots, ElementsAre(2));
  std::vector<WordLink> links = syntax.links;
  std::sort(links.begin(), links.end());
  EXPECT_THAT(links, ElementsAre(WordLink{2, 3}, WordLink{2, 4}, WordLink{2, 5}, WordLink{2, 6},
                                 WordLink{3, 4}, WordLink{3, 5}, WordLink{3, 6}, WordLink{3, 7},
                                 WordLink{4, 5}, WordLink{4, 6}, WordLink{4, 7}, WordLink{5, 6},
                                 WordLink{5, 7}, WordLink{6, 7}));
}

TEST(Linkage, ALongWordOfTheParserIsAChain) {
  // "a xx.xx. ... b": the middle is one word to the parser, and thousands of ours.
  constexpr int32_t kParts = 8000;
  std::string address;
  for (int32_t i = 0; i < kParts / 2; ++i) address += "x.";
  const std::string text = "a " + address + " b";
  const auto end = static_cast<int64_t>(text.size());
  const std::vector<ByteSpan> sentences{{0, end}};
  const std::vector<Linkage> linkages{{ParseOutcome::complete,
                                       1,
                                       1,
                                       {{0, 1}, {2, end - 2}, {end - 1, end}},
                                       {{0, 1}, {1, 2}, {0, 2}}}};
  const Syntax syntax = syntax_of_linkages(text, sentences, linkages);
  ASSERT_EQ(syntax.words.size(), static_cast<size_t>(kParts + 2));
  EXPECT_THAT(syntax.roots, ElementsAre(1));
  std::vector<WordLink> expected{{0, 1}, {0, kParts + 1}, {1, kParts + 1}};
  for (int32_t w = 1; w < kParts; ++w) expected.push_back({w, w + 1});
  EXPECT_THAT(syntax.links, ::testing::UnorderedElementsAreArray(expected));
}

}  // namespace filigree
