// Readers: quoting, columns, trees, and the line in every error, after which reading goes on.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tasks/readers/record_reader.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

class Readers : public ::testing::Test {
 protected:
  std::unique_ptr<RecordReader> open(const std::string& name, const std::string& content,
                                     const std::vector<std::string>& wanted,
                                     ReaderOptions options = {}) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return RecordReader::open(folder_ / name, wanted, options);
  }

  /// All records, "ERROR: what" for a line that was refused.
  static std::vector<std::vector<std::string>> read(RecordReader& reader) {
    std::vector<std::vector<std::string>> all;
    for (;;) {
      try {
        std::optional<Record> record = reader.next();
        if (!record) return all;
        all.push_back(record->values);
      } catch (const DataError& error) {
        all.push_back({std::string("ERROR: ") + error.what()});
      }
    }
  }

  TemporaryFolder folder_;
};

ReaderOptions quoted() {
  ReaderOptions options;
  options.quoting = Quoting::standard;
  return options;
}

/// A CoNLL-U word line.
std::string row(const std::string& id, const std::string& form, const std::string& head,
                const std::string& misc = "_") {
  return id + "\t" + form + "\t_\t_\t_\t_\t" + head + "\t_\t_\t" + misc + "\n";
}

}  // namespace

TEST_F(Readers, TsvGivesTheColumnsAskedForInTheirOrder) {
  const auto reader =
      open("a.tsv", "\xef\xbb\xbfx\ty\tz\r\n1\t2\t3\r\n\r\n4\t\t\"6\r\n", {"z", "x"});
  EXPECT_THAT(read(*reader), ElementsAre(ElementsAre("3", "1"), ElementsAre("\"6", "4")));
}

TEST_F(Readers, TsvWithoutAHeaderTakesItsNamesFromTheOptions) {
  ReaderOptions options;
  options.columns = {"label", "text"};
  EXPECT_THAT(read(*open("a.tsv", "0\tfirst\n1\tsecond", {"text"}, options)),
              ElementsAre(ElementsAre("first"), ElementsAre("second")));
}

TEST_F(Readers, QuotedFieldsHoldTabsLineEndsAndQuotationMarks) {
  EXPECT_THAT(read(*open("a.tsv", "a\tb\n\"x\ty\"\t\"two\nlines\"\n\"say \"\"no\"\"\"\t\"\"\n",
                         {"a", "b"}, quoted())),
              ElementsAre(ElementsAre("x\ty", "two\nlines"), ElementsAre("say \"no\"", "")));
}

TEST_F(Readers, ALineOfAnotherWidthIsRefusedAndTheNextIsRead) {
  const auto all = read(*open("a.tsv", "a\tb\n1\n2\t3\n4\t5\t6\n7\t8\n", {"a"}));
  ASSERT_EQ(all.size(), 4U);
  EXPECT_THAT(all[0][0], HasSubstr("a.tsv:2"));
  EXPECT_THAT(all[0][0], HasSubstr("expected 2 columns, got 1"));
  EXPECT_THAT(all[1], ElementsAre("2"));
  EXPECT_THAT(all[2][0], HasSubstr("a.tsv:4"));
  EXPECT_THAT(all[3], ElementsAre("7"));
}

TEST_F(Readers, QuotingErrorsNameTheLineTheRecordBeginsIn) {
  const auto open_quote = read(*open("a.tsv", "a\n\"one\ntwo\n", {"a"}, quoted()));
  ASSERT_EQ(open_quote.size(), 2U);  // the record alone is bad: what follows is read
  EXPECT_THAT(open_quote[1], ElementsAre("two"));
  EXPECT_THAT(open_quote[0][0], HasSubstr("a.tsv:2"));
  EXPECT_THAT(open_quote[0][0], HasSubstr("never closed"));
  EXPECT_THAT(read(*open("b.tsv", "a\n\"one\"two\n", {"a"}, quoted()))[0][0],
              HasSubstr("behind a closing quotation mark"));
}

TEST_F(Readers, JsonLinesGiveTextNumbersAndTruthValues) {
  EXPECT_THAT(
      read(*open("a.jsonl", "{\"t\": \"a\\u00e9\\n\", \"y\": 3}\n\n{\"y\": true, \"t\": \"\"}\n",
                 {"t", "y"})),
      ElementsAre(ElementsAre("a\xc3\xa9\n", "3"), ElementsAre("", "true")));
}

TEST_F(Readers, BadJsonLinesAreRefusedOneByOne) {
  const auto all =
      read(*open("a.jsonl", "{\"t\": 1}\n{\"t\": \n[1]\n{\"u\": 1}\n{\"t\": 2}\n", {"t"}));
  ASSERT_EQ(all.size(), 5U);
  EXPECT_THAT(all[0], ElementsAre("1"));
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_THAT(all[i][0], HasSubstr("a.jsonl:" + std::to_string(i + 1)));
  }
  EXPECT_THAT(all[4], ElementsAre("2"));
}

TEST_F(Readers, TreesComeWithTheirTextAndSpans) {
  const auto reader =
      open("a.conllu",
           "# sent_id = s1\n# label = 1\n" + row("1-2", "Don't", "_") + row("1", "Do", "3") +
               row("2", "n't", "3") + row("3", "go", "0", "SpaceAfter=No") + row("3.1", "x", "_") +
               row("4", ".", "3") + "\n",
           {"text", "label"});
  const std::optional<Record> record = reader->next();
  ASSERT_TRUE(record.has_value());
  EXPECT_THAT(record->values, ElementsAre("Don't go.", "1"));
  ASSERT_EQ(record->words.size(), 4U);
  EXPECT_EQ(record->words[0].span, (ByteSpan{0, 5}));
  EXPECT_EQ(record->words[1].span, (ByteSpan{0, 5}));
  EXPECT_EQ(record->words[2].span, (ByteSpan{6, 8}));
  EXPECT_EQ(record->words[3].span, (ByteSpan{8, 9}));
  EXPECT_EQ(record->words[0].head, 2);
  EXPECT_EQ(record->words[2].head, -1);
  EXPECT_FALSE(reader->next().has_value());
}

TEST_F(Readers, SpacesOfTreesAreThoseOfTheMiscColumn) {
  const auto reader =
      open("a.conllu",
           row("1", "(", "2", "Start=0|SpaceAfter=No") + row("2", "caf\xc3\xa9", "0") +
               row("3", "x", "2", "NoSpaceAfter=No") + row("4", ")", "2") + "\n",
           {"text"});
  const std::optional<Record> record = reader->next();
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->values[0], "(caf\xc3\xa9 x )");
  EXPECT_EQ(record->words[1].span, (ByteSpan{1, 6}));
  EXPECT_EQ(record->words[3].span, (ByteSpan{9, 10}));
}

TEST_F(Readers, WrongTreesAreRefusedWithTheirLine) {
  const std::string good = row("1", "yes", "0") + "\n";
  struct Case {
    std::string sentence, line, reason;
  };
  for (const Case& c :
       {Case{row("1", "a", "2") + row("2", "b", "1") + "\n", ":1", "circle"},
        Case{row("1", "a", "0") + row("2", "b", "7") + "\n", ":2", "head of 0 to 2, got 7"},
        Case{row("1", "a", "0") + row("3", "b", "1") + "\n", ":2", "expected word 2"},
        Case{row("1", "a", "x") + "\n", ":1", "expected a number as head"},
        Case{"1\ta\n\n", ":1", "expected 10 columns, got 2"},
        Case{"# only = comments\n\n", ":1", "without words"},
        Case{row("1-3", "ab", "_") + row("1", "a", "0") + row("2", "b", "1") + "\n", ":1",
             "words up to 3, but the sentence has 2"},
        Case{row("1", "a", "0") + row("2-1", "b", "_") + "\n", ":2", "got \"2-1\""},
        Case{row("1-2", "ab", "_") + row("1", "a", "0") + row("2-3", "bc", "_") + "\n", ":3",
             "got \"2-3\""},
        Case{row("1", "a\xff", "0") + "\n", ":1", "not UTF-8"}}) {
    SCOPED_TRACE(c.reason);
    const auto all = read(*open("a.conllu", c.sentence + good, {"text"}));
    ASSERT_EQ(all.size(), 2U);
    EXPECT_THAT(all[0][0], HasSubstr("a.conllu" + c.line + "]"));
    EXPECT_THAT(all[0][0], HasSubstr(c.reason));
    EXPECT_THAT(all[1], ElementsAre("yes"));
  }
}

TEST_F(Readers, AnAbsentColumnOffersTheNearestName) {
  for (const auto& [name, content] :
       {std::pair("a.tsv", "sentence\tlabel\nx\t1\n"),
        std::pair("a.jsonl", "{\"sentence\": \"x\", \"label\": 1}\n")}) {
    SCOPED_TRACE(name);
    try {
      const auto all = read(*open(name, content, {"sentense"}));
      EXPECT_THAT(all[0][0], HasSubstr("did you mean \"sentence\"?"));
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("did you mean \"sentence\"?"));
    }
  }
}

TEST_F(Readers, EmptyAbsentAndEndlessFilesAreRefused) {
  EXPECT_THROW(open("a.tsv", "", {"a"}), DataError);
  EXPECT_THROW(open("b.tsv", " \n\n", {"a"}), DataError);
  EXPECT_THROW(RecordReader::open(folder_ / "absent.tsv", {"a"}, {}), FileError);
  ReaderOptions short_lines;
  short_lines.max_line_bytes = 100;
  const auto all =
      read(*open("c.tsv", "a\n" + std::string(101, 'x') + "\nok\n", {"a"}, short_lines));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_THAT(all[0][0], HasSubstr("c.tsv:2"));
  EXPECT_THAT(all[1], ElementsAre("ok"));
}

}  // namespace filigree
