// Exact match and F1 against Python's working of the published definition (make_squad_scores.py).
#include <bit>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "tasks/readers/record_reader.h"
#include "tasks/task/answer_metrics.h"
#include "tests/tasks/shared_squad.h"

namespace filigree {

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::TemporaryFolder;
using testing::unpack_squad_dev;

nlohmann::json fixture() {
  return nlohmann::json::parse(
      read_file(FILIGREE_SOURCE_DIR "/tests/tasks/data/squad_scores.json"));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// FNV-1a, as in the script.
struct Checksum {
  uint64_t value = 0xCBF29CE484222325;
  void add(uint8_t byte) { value = (value ^ byte) * 0x100000001B3; }
  void add(const std::string& text) {
    for (const char c : text) add(static_cast<uint8_t>(c));
  }
  void add(double number) {
    const auto bits = std::bit_cast<uint64_t>(number);
    for (int i = 0; i < 64; i += 8) add(static_cast<uint8_t>(bits >> i));
  }
  std::string text() const {
    std::string digits(16, '0');
    for (size_t i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    return digits;
  }
};

std::string utf8_of(int32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
          static_cast<char>(0x80 | (c & 63))};
}

std::string first_characters(const std::string& text, int count) {
  int64_t at = 0;
  while (count-- > 0 && at < static_cast<int64_t>(text.size())) next_character(text, at);
  return text.substr(0, static_cast<size_t>(at));
}

std::string replaced(const std::string& text, const std::string& by) {
  std::string result;
  for (const char c : text) result += c == ' ' ? by : std::string(1, c);
  return result;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == ' ') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// Parts with blanks between, empty ones too.
std::string with_blanks(const std::vector<std::string>& parts) {
  std::string text = parts.empty() ? "" : parts[0];
  for (size_t i = 1; i < parts.size(); ++i) text += " " + parts[i];
  return text;
}

/// The script's spoil().
std::string spoil(int64_t number, const std::vector<std::string>& answers,
                  const std::string& context, const std::string& before) {
  const std::string& first = answers.front();
  std::vector<std::string> parts = split(first);
  std::string upper = first;
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  const std::vector<std::string> reversed(parts.rbegin(), parts.rend());
  const std::vector<std::string> shorter(parts.begin(), parts.end() - 1);
  switch (number % 16) {
    case 1:
      return upper;
    case 2:
      return "The " + first + "!";
    case 3:
      return parts.size() > 1 ? with_blanks(shorter) : first + first;
    case 4:
      return first + first_characters(context, 12);
    case 5:
      return answers.back();
    case 6:
      return "";
    case 7:
      return "\t\u00a0\"" + first + "\"\u2003\n";
    case 8:
      return with_blanks(reversed);
    case 9:
      return before;
    case 10:
      return "\u2014an " + first + " a\u2014";
    case 11:
      return first_characters(context, 40);
    case 12:
      return first + " \u0130\u03a3 \u00c9A";
    case 13:
      return replaced(first, "_");
    case 14:
      return replaced(first, "-the-");
    case 15:
      return "a\u0301 the\u00b2 " + first + " A\u0308n the";
    default:
      return first;
  }
}

}  // namespace

TEST(AnswerMetrics, NormalisationByHand) {
  EXPECT_THAT(normalised_words("The Cat's  pyjamas!"), ElementsAre("cats", "pyjamas"));
  EXPECT_THAT(normalised_words("a an the"), IsEmpty());
  EXPECT_THAT(normalised_words("U.S.A., the"), ElementsAre("usa"));
  EXPECT_THAT(normalised_words("x\u2014a\u2014y"), ElementsAre("x\u2014", "\u2014y"));
  EXPECT_THAT(normalised_words("\u0130"), ElementsAre("i\u0307"));
  EXPECT_THAT(normalised_words("a\u0301"), ElementsAre("\u0301"));  // a mark is no letter
  EXPECT_THAT(normalised_words("the\u00b2"), ElementsAre("the\u00b2"));
}

TEST(AnswerMetrics, ScoresByHand) {
  const std::vector<std::string> right{"the old mill", "mill by the river"};
  EXPECT_EQ(score_answer("Old Mill.", right).exact, 1);
  EXPECT_EQ(score_answer("Old Mill.", right).f1, 1);
  EXPECT_EQ(score_answer("river", right).exact, 0);
  EXPECT_DOUBLE_EQ(score_answer("river", right).f1, 2 * 1.0 / 3 / (1 + 1.0 / 3));
  EXPECT_DOUBLE_EQ(score_answer("mill mill", right).f1, 0.5);  // one of two words, one of two
  EXPECT_EQ(score_answer("", right).f1, 0);
  const std::vector<std::string> nothing{"the"};
  EXPECT_EQ(score_answer("a", nothing).exact, 1);  // nothing is left of both
  EXPECT_EQ(score_answer("a", nothing).f1, 0);
  EXPECT_EQ(score_answer("a", {}).exact, 0);
}

TEST(AnswerMetrics, NormalisationIsPythons) {
  const auto expected = fixture();
  ASSERT_GT(expected["texts"].size(), 40u);
  for (const auto& [text, words] :
       expected["texts"].get<std::vector<std::array<std::string, 2>>>()) {
    EXPECT_EQ(joined(normalised_words(text)), words) << "of " << excerpt(text);
  }
  Checksum sweep;
  for (int32_t c = 1; c < expected["characters"].get<int32_t>(); ++c) {
    const std::string character = utf8_of(c);
    sweep.add(joined(normalised_words("A" + character + "the " + character + "B" + character)));
    sweep.add("\n");
  }
  EXPECT_EQ(sweep.text(), expected["sweep"]);
}

TEST(AnswerMetrics, AreTheDefinitionsOnAllOfTheSharedDevFile) {
  const TemporaryFolder folder;
  const auto path = unpack_squad_dev(folder);
  if (!path) GTEST_SKIP() << testing::kNoSquad;
  const auto expected = fixture();
  ReaderOptions options;
  options.format = RecordFormat::squad;
  const auto reader = RecordReader::open(*path, {"context"}, options);
  std::string before = "a the an";
  Checksum checksum;
  double exact = 0, f1 = 0;
  int64_t questions = 0;
  while (const auto record = reader->next()) {
    std::vector<std::string> answers;
    for (const GivenAnswer& answer : record->answers) answers.push_back(answer.text);
    const AnswerScore score =
        score_answer(spoil(questions, answers, record->values[0], before), answers);
    before = answers.front();
    if (questions < static_cast<int64_t>(expected["rows"].size())) {
      const auto& row = expected["rows"][static_cast<size_t>(questions)];
      ASSERT_EQ(score.exact, row[0].get<double>()) << "question " << questions;
      ASSERT_EQ(score.f1, row[1].get<double>()) << "question " << questions;
    }
    checksum.add(score.exact);
    checksum.add(score.f1);
    exact += score.exact;
    f1 += score.f1;
    ++questions;
  }
  EXPECT_EQ(questions, expected["questions"]);
  EXPECT_EQ(checksum.text(), expected["checksum"]);  // every score of every question, bit for bit
  EXPECT_EQ(100 * exact / static_cast<double>(questions), expected["exact_match"].get<double>());
  EXPECT_EQ(100 * f1 / static_cast<double>(questions), expected["f1"].get<double>());
}

}  // namespace filigree
