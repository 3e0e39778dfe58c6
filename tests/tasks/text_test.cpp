// UTF-8: what is well-formed, where it is not, what a word is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tasks/text/utf8.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const ByteSpan& span : split_words(text)) {
    words.emplace_back(
        text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
  }
  return words;
}

/// RFC 3629's encoding of one code point.
std::string encode(uint32_t c) {
  const auto tail = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3f)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0 | (c >> 6)), tail(c)};
  if (c < 0x10000) return {static_cast<char>(0xe0 | (c >> 12)), tail(c >> 6), tail(c)};
  return {static_cast<char>(0xf0 | (c >> 18)), tail(c >> 12), tail(c >> 6), tail(c)};
}

}  // namespace

TEST(Utf8, EveryCodePointButSurrogatesIsWellFormed) {
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    ASSERT_EQ(invalid_utf8(encode(c)).has_value(), surrogate) << std::hex << c;
  }
  EXPECT_TRUE(invalid_utf8(encode(0x110000)).has_value());
}

TEST(Utf8, MalformedBytesAreFoundWhereTheyBegin) {
  struct Case {
    std::string text;
    int64_t at;
  };
  for (const Case& c : {Case{"ab\xff", 2}, Case{"\x80", 0}, Case{"a\xc0\xaf", 1},
                        Case{"\xe0\x80\x80", 0}, Case{"xy\xe2\x82", 2},
                        Case{"\xc3\xa9\xf5\x80\x80\x80", 2}, Case{std::string("a\0\xfe", 3), 2}}) {
    EXPECT_EQ(invalid_utf8(c.text), c.at) << excerpt(c.text);
  }
  EXPECT_FALSE(invalid_utf8("").has_value());
  try {
    require_utf8("f.tsv:3", "ab\xff");
    FAIL() << "no error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("f.tsv:3"));
    EXPECT_THAT(error.what(), HasSubstr("0xff at byte 3"));
  }
}

TEST(Utf8, APrefixNeverCutsACharacter) {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  for (int64_t bytes = 0; bytes <= static_cast<int64_t>(text.size()) + 1; ++bytes) {
    const std::string_view prefix = utf8_prefix(text, bytes);
    EXPECT_LE(static_cast<int64_t>(prefix.size()), bytes);
    EXPECT_FALSE(invalid_utf8(prefix).has_value()) << bytes;
    EXPECT_TRUE(text.starts_with(prefix));
  }
}

TEST(Utf8, AnExcerptIsShortAndVisible) {
  EXPECT_EQ(excerpt("plain"), "\"plain\"");
  EXPECT_EQ(excerpt("a\tb\xff"), "\"a\\x09b\\xff\"");
  EXPECT_EQ(excerpt("0123456789", 4), "\"0123...\"");
}

TEST(Words, LettersDigitsAndMarksHoldTogetherOthersStandAlone) {
  EXPECT_THAT(words_of("don't stop-gap 3.5%"),
              ElementsAre("don't", "stop-gap", "3", ".", "5", "%"));
  EXPECT_THAT(words_of("na\xc3\xafve e\xcc\x81t\xc3\xa9"),
              ElementsAre("na\xc3\xafve", "e\xcc\x81t\xc3\xa9"));
  EXPECT_THAT(words_of("\xe2\x80\x9cyes\xe2\x80\x9d"),
              ElementsAre("\xe2\x80\x9c", "yes", "\xe2\x80\x9d"));
  EXPECT_THAT(words_of("'a' b- -c"), ElementsAre("'", "a", "'", "b", "-", "-", "c"));
  EXPECT_THAT(words_of(" \t\xc2\xa0\n"), ElementsAre());
  EXPECT_THAT(words_of(""), ElementsAre());
}

TEST(FoldCase, IsUnicodesFullFolding) {
  EXPECT_EQ(fold_case(""), "");
  EXPECT_EQ(fold_case("The MILL-2's [x]"), "the mill-2's [x]");
  EXPECT_EQ(fold_case("STRASSE"), fold_case("Stra\u00dfe"));
  EXPECT_EQ(fold_case("\u00c9T\u00c9"), "\u00e9t\u00e9");
  EXPECT_EQ(fold_case("\u039f\u0394\u039f\u03a3"), fold_case("\u03bf\u03b4\u03bf\u03c2"));
}

}  // namespace filigree
