// SQuAD files: questions in order, offsets in characters, and every fault with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "tasks/readers/record_reader.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

/// What a reader gives: the ids of good records, and the errors.
struct Reading {
  std::vector<Record> records;
  std::vector<std::string> errors;
};

Reading read(const std::string& content, std::vector<std::string> wanted = {"id"}) {
  const TemporaryFolder folder;
  write_file(folder / "in.json", content);
  ReaderOptions options;
  options.answers = true;  // which makes .json SQuAD
  const auto reader = RecordReader::open(folder / "in.json", wanted, options);
  Reading reading;
  for (;;) {
    try {
      auto record = reader->next();
      if (!record) return reading;
      reading.records.push_back(std::move(*record));
    } catch (const DataError& error) {
      reading.errors.emplace_back(error.what());
    }
  }
}

std::string article(const std::string& paragraphs) {
  return R"({"title": "T", "paragraphs": [)" + paragraphs + "]}";
}
std::string paragraph(const std::string& context, const std::string& questions) {
  return R"({"context": ")" + context + R"(", "qas": [)" + questions + "]}";
}
std::string question(const std::string& id, const std::string& answers) {
  return R"({"id": ")" + id + R"(", "question": "q?", "answers": [)" + answers + "]}";
}
std::string answer(const std::string& text, const std::string& start) {
  return R"({"text": ")" + text + R"(", "answer_start": )" + start + "}";
}
std::string file_of(const std::string& articles) {
  return R"({"version": "1.1", "data": [)" + articles + "]}";
}

}  // namespace

TEST(Squad, QuestionsInOrderWithTheirAnswers) {
  const std::string content =
      file_of(article(paragraph("a b", question("1", answer("a", "0") + "," + answer("a b", "0")) +
                                           "," + question("2", answer("b", "2")))) +
              "," + article("") + "," +
              article(paragraph("c", "") + "," + paragraph("d", question("3", answer("d", "0")))));
  const Reading reading = read(content, {"context", "id", "title", "question"});
  EXPECT_THAT(reading.errors, ElementsAre());
  ASSERT_EQ(reading.records.size(), 3u);
  EXPECT_THAT(reading.records[0].values, ElementsAre("a b", "1", "T", "q?"));
  ASSERT_EQ(reading.records[0].answers.size(), 2u);
  EXPECT_EQ(reading.records[0].answers[1].text, "a b");
  EXPECT_EQ(reading.records[1].answers[0].place, (ByteSpan{2, 3}));
  EXPECT_THAT(reading.records[2].where, HasSubstr("article 3 \"T\", paragraph 2, question 1"));
}

TEST(Squad, OffsetsCountCharacters) {
  // 2-, 3- and 4-byte characters, as themselves and as escapes of two halves.
  const Reading reading = read(
      file_of(article(paragraph("\u00e9\u65e5\\ud83d\\ude00 x", question("1", answer("x", "4"))))));
  ASSERT_EQ(reading.records.size(), 1u) << reading.errors.front();
  EXPECT_EQ(reading.records[0].answers[0].place, (ByteSpan{10, 11}));
}

TEST(Squad, KeysMayStandInAnyOrderAndFurtherOnesAreLeft) {
  const Reading reading = read(
      R"({"more": [{"paragraphs": 3}], "data": [{"x": {"y": []}, "paragraphs": [{"qas": [)" +
      question("1", answer("a", "0")) + R"(], "context": "a"}], "title": "t"}], "version": {}})");
  EXPECT_THAT(reading.errors, ElementsAre());
  EXPECT_EQ(reading.records.size(), 1u);
}

TEST(Squad, AFaultCostsItsPartAlone) {
  const std::string good = question("g", answer("a", "0"));
  const auto one = [](const std::string& content) {
    const Reading reading = read(file_of(content));
    EXPECT_EQ(reading.errors.size(), 1u) << content;
    EXPECT_EQ(reading.records.size(), 1u) << content;
    return reading.errors.empty() ? "no error" : reading.errors.front();
  };
  const auto in_question = [&](const std::string& wrong) {
    return one(article(paragraph("a b", wrong + "," + good)));
  };
  EXPECT_THAT(in_question(question("1", answer("b", "1"))),
              AllOf(HasSubstr("article 1 \"T\", paragraph 1, question 1 (id \"1\")"),
                    HasSubstr("expected the answer \"b\" at character 1"), HasSubstr("not bytes")));
  EXPECT_THAT(in_question(question("1", answer("b", "3"))), HasSubstr("character 3"));
  EXPECT_THAT(in_question(question("1", answer("b", "9999999999999"))), HasSubstr("its end"));
  for (const char* start : {"-1", "1.5", "\"0\"", "null", "1e400", "18446744073709551616"}) {
    if (std::string(start) == "1e400") continue;  // no JSON number of this library
    EXPECT_THAT(in_question(question("1", answer("a", start))), HasSubstr("answer_start")) << start;
  }
  EXPECT_THAT(in_question(question("1", answer("", "0"))), HasSubstr("an answer is empty"));
  EXPECT_THAT(in_question(question("1", "")), HasSubstr("no answer"));
  EXPECT_THAT(in_question(question("1", "7")), HasSubstr("expected an object, got number"));
  EXPECT_THAT(in_question(R"({"id": "1", "question": "q", "answer": []})"),
              AllOf(HasSubstr("\"answers\" is missing"), HasSubstr("did you mean \"answer\"?")));
  EXPECT_THAT(in_question(R"({"id": 1, "question": "q", "answers": []})"),
              HasSubstr("expected a string as \"id\", got number"));
  EXPECT_THAT(in_question(R"({"id": "1", "question": " ", "answers": []})"),
              HasSubstr("the question is empty"));
  EXPECT_THAT(in_question("[]"), HasSubstr("expected an object, got array"));
  EXPECT_THAT(one(article(paragraph("a", good + "," + good))),
              AllOf(HasSubstr("question 2"), HasSubstr("\"g\" stands before")));
  const std::string rest = paragraph("a", good);
  EXPECT_THAT(one(article(paragraph(" ", good) + "," + rest)),
              AllOf(HasSubstr("paragraph 1"), HasSubstr("the context is empty")));
  EXPECT_THAT(one(article("{\"qas\": []}," + rest)), HasSubstr("\"context\" is missing"));
  EXPECT_THAT(one(article("null," + rest)), HasSubstr("expected an object, got null"));
  EXPECT_THAT(one("3," + article(rest)), AllOf(HasSubstr("article 1"), HasSubstr("got number")));
  EXPECT_THAT(one("[{}]," + article(rest)), HasSubstr("got array"));
  EXPECT_THAT(one("{\"title\": \"t\"}," + article(rest)), HasSubstr("\"paragraphs\" is missing"));
}

TEST(Squad, WhatIsNoSquadIsRefusedAsAWhole) {
  const std::string whole = file_of(article(paragraph("a", question("g", answer("a", "0")))));
  EXPECT_THAT(error_of([] { read(" \n"); }), HasSubstr("the file is empty"));
  EXPECT_THAT(error_of([&] { read(whole.substr(0, whole.size() - 2)); }),
              AllOf(HasSubstr("in.json:1"), HasSubstr("not JSON"), HasSubstr("1 whole articles")));
  EXPECT_THAT(error_of([&] { read(whole + "\n" + whole); }), HasSubstr("in.json:2"));
  EXPECT_THAT(error_of([] { read("{\"data\": [\"\xff\"]}"); }), HasSubstr("not JSON"));
  EXPECT_THAT(error_of([] { read("{\"data\": [\"\\ud800\"]}"); }), HasSubstr("not JSON"));
  for (const char* other : {"[]", "3", "{}", "{\"data\": {}}", "{\"data\": 3}", "[[{}]]"}) {
    EXPECT_THAT(error_of([&] { read(other); }), HasSubstr("a list \"data\"")) << other;
  }
  EXPECT_THAT(error_of([&] { read(whole, {"contxt"}); }), HasSubstr("did you mean \"context\"?"));
  // Every prefix is refused: a file that was cut off never passes for a short one.
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(error_of([&] { read(whole.substr(0, size)); }), "no error") << size;
  }
}

}  // namespace filigree
