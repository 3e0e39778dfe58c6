// Imported vocabularies against what the published tokenizers make of the same text.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sentencepiece_processor.h>
#include <set>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/tokenizer/bert_text.h"
#include "tests/tasks/imported_tokenizer.h"

namespace filigree {

namespace {

using nlohmann::json;

using testing::import_kind;

const std::filesystem::path kShared = std::filesystem::path(FILIGREE_SOURCE_DIR) / "../shared/data";

/// Made by make_tokenizer_fixture.py.
const json& fixture() {
  static const json read = json::parse(read_file(testing::vocabulary_folder() / "expected.json"));
  return read;
}

/// Of SentencePiece only the ids are compared: the library's spans count blanks to the pieces.
bool has_spans(const std::string& kind) {
  return kind == "bytebpe" || kind.starts_with("wordpiece");
}

/// (id, begin, end) or (id) of every piece in a row.
std::vector<int32_t> numbers_of(const Tokenizer& tokenizer, const std::string& text, bool spans) {
  std::vector<int32_t> numbers;
  for (const Piece& piece : tokenizer.encode(text)) {
    numbers.push_back(piece.id);
    if (!spans) continue;
    numbers.push_back(static_cast<int32_t>(piece.begin));
    numbers.push_back(static_cast<int32_t>(piece.end));
  }
  return numbers;
}

std::string hash_of_numbers(const std::vector<int32_t>& numbers) {
  return to_hex(checksum(
      {reinterpret_cast<const uint8_t*>(numbers.data()), numbers.size() * sizeof(int32_t)}));
}

std::string hash_of_text(const std::string& text) {
  return to_hex(checksum({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
}

/// The rule of make_tokenizer_fixture.py.
std::vector<std::string> shared_lines() {
  const auto fragments = fixture().at("fragments").get<std::vector<std::string>>();
  std::vector<std::string> lines;
  for (const json& file : fixture().at("files")) {
    std::ifstream stream(kShared / file.at(0).get<std::string>(), std::ios::binary);
    std::string line;
    int64_t taken = 0;
    for (size_t number = 0; std::getline(stream, line); ++number) {
      if (taken == file.at(1).get<int64_t>() || lines.size() == 10000) break;
      const bool wanted =
          number % 3 == 0 || line.find("http") != std::string::npos ||
          std::any_of(line.begin(), line.end(), [](char c) { return (c & 0x80) != 0; });
      if (line.empty() || !wanted) continue;
      if (lines.size() % 2 == 1) {
        size_t at = line.find(' ', lines.size() * 31 % line.size());
        if (at == std::string::npos) at = line.size();
        line.insert(at, " " + fragments[lines.size() / 2 % fragments.size()]);
      }
      lines.push_back(line);
      ++taken;
    }
  }
  return lines;
}

class PublishedTokenizers : public ::testing::TestWithParam<const char*> {};

}  // namespace

TEST_P(PublishedTokenizers, GivesTheSameForNastyLines) {
  const Tokenizer tokenizer = import_kind(GetParam());
  const auto lines = fixture().at("lines").get<std::vector<std::string>>();
  const json& expected = fixture().at("kinds").at(std::string(GetParam()));
  const auto whole = expected.at("whole").get<std::vector<std::vector<int32_t>>>();
  const auto hashes = expected.at("hashes").get<std::vector<std::string>>();
  ASSERT_EQ(lines.size(), whole.size() + hashes.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    SCOPED_TRACE(i);
    SCOPED_TRACE(excerpt(lines[i], 200));
    const std::vector<int32_t> numbers = numbers_of(tokenizer, lines[i], has_spans(GetParam()));
    if (i < whole.size()) {
      EXPECT_EQ(numbers, whole[i]);
    } else {
      EXPECT_EQ(hash_of_numbers(numbers).substr(0, 8), hashes[i - whole.size()])
          << ::testing::PrintToString(numbers);
    }
  }
}

TEST_P(PublishedTokenizers, GivesTheSameForTenThousandSharedLines) {
  if (!std::filesystem::exists(kShared)) {
    GTEST_SKIP() << "the shared datasets are not beside the source tree (../shared/data): 10,000 "
                    "lines of them were not compared";
  }
  const Tokenizer tokenizer = import_kind(GetParam());
  const std::vector<std::string> lines = shared_lines();
  ASSERT_EQ(lines.size(), 10000U);
  const auto block = fixture().at("block").get<size_t>();
  const auto hashes = fixture()
                          .at("kinds")
                          .at(std::string(GetParam()))
                          .at("blocks")
                          .get<std::vector<std::string>>();
  ASSERT_EQ(hashes.size() * block, lines.size());
  // Lines that SentencePiece's versions divide differently; the linked one is asked below.
  const auto ties = fixture().at("ties").get<std::set<size_t>>();
  EXPECT_LT(ties.size(), 500U);
  for (size_t b = 0; b < hashes.size(); ++b) {
    std::vector<int32_t> numbers;
    for (size_t i = b * block; i < (b + 1) * block; ++i) {
      if (!has_spans(GetParam()) && ties.contains(i)) continue;
      const auto more = numbers_of(tokenizer, lines[i], has_spans(GetParam()));
      numbers.insert(numbers.end(), more.begin(), more.end());
    }
    EXPECT_EQ(hash_of_numbers(numbers), hashes[b]) << "lines from " << b * block;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, PublishedTokenizers, ::testing::ValuesIn(testing::kImportedKinds),
                         [](const auto& info) { return testing::test_name(info.param); });

/// The linked library itself, without exception.
TEST(PublishedTokenizer, LayoutsRenumberTheLibrarysIds) {
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load((testing::vocabulary_folder() / "unigram.model").string()).ok());
  const Tokenizer plain = import_kind("plain"), camembert = import_kind("camembert"),
                  xlm_roberta = import_kind("xlm-roberta");
  auto lines = fixture().at("lines").get<std::vector<std::string>>();
  const std::vector<std::string> shared = shared_lines();  // none where the data are not
  lines.insert(lines.end(), shared.begin(), shared.end());
  for (const std::string& line : lines) {
    std::vector<int> ids;
    ASSERT_TRUE(library.Encode(line, &ids).ok());
    ASSERT_EQ(numbers_of(plain, line, false), ids) << excerpt(line);
    std::vector<int32_t> four(ids), one(ids);
    for (int32_t& id : four) id = id == 0 ? 3 : id + 4;
    for (int32_t& id : one) id = id == 0 ? 3 : id + 1;
    ASSERT_EQ(numbers_of(camembert, line, false), four) << excerpt(line);
    ASSERT_EQ(numbers_of(xlm_roberta, line, false), one) << excerpt(line);
  }
}

/// Every character that Unicode 14 knows, between letters and alone.
TEST(BertText, CleansEveryCharacterAsThePublishedTokenizer) {
  for (const std::string rules : {"uncased", "cased"}) {
    const bool uncased = rules == "uncased";
    const auto hashes = fixture().at("cleaned").at(rules).get<std::vector<std::string>>();
    for (size_t chunk = 0; chunk < hashes.size(); ++chunk) {
      std::string text;
      for (auto c = static_cast<UChar32>(chunk * 4096); c < static_cast<UChar32>(chunk + 1) * 4096;
           ++c) {
        UVersionInfo age;
        u_charAge(c, age);
        const int8_t category = u_charType(c);
        if (category == U_UNASSIGNED || category == U_SURROGATE || age[0] > 14) continue;
        char bytes[U8_MAX_LENGTH];
        size_t length = 0;
        U8_APPEND_UNSAFE(bytes, length, c);
        const std::string character(bytes, length);
        text += (text.empty() ? "a" : " a") + character + "b " + character;
      }
      EXPECT_EQ(hash_of_text(bert_text(text, {uncased, uncased, true})), hashes[chunk])
          << rules << " from U+" << std::hex << chunk * 4096;
    }
  }
}

}  // namespace filigree
