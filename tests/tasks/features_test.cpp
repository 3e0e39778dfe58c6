// Features of questions: their parts, their targets, the arrays in a dataset.
#include "tasks/dataset/features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/dataset/batch.h"
#include "tests/error_text.h"
#include "tests/tasks/shared_squad.h"
#include "tests/tasks/task_data.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::options_for;
using testing::prepare_content;
using testing::TemporaryFolder;
using testing::word_tokenizer;

PrepareOptions qa_options(int64_t max_length, int64_t stride, int64_t question) {
  PrepareOptions options = options_for("qa", "label");
  options.max_length = max_length;
  options.doc_stride = stride;
  options.max_question = question;
  return options;
}

struct Asked {
  std::string id, question;
  std::vector<std::pair<std::string, int64_t>> answers;
};

std::string squad(const std::string& context, const std::vector<Asked>& questions) {
  nlohmann::json list = nlohmann::json::array();
  for (const Asked& each : questions) {
    nlohmann::json answers = nlohmann::json::array();
    for (const auto& [text, start] : each.answers) {
      answers.push_back({{"text", text}, {"answer_start", start}});
    }
    list.push_back({{"id", each.id}, {"question", each.question}, {"answers", answers}});
  }
  return nlohmann::json{
      {"data", {{{"title", "t"}, {"paragraphs", {{{"context", context}, {"qas", list}}}}}}}}
      .dump();
}

std::vector<int32_t> ids_of(const TokenDataset& data, int64_t sample) {
  std::vector<int32_t> ids(static_cast<size_t>(data.length(sample)));
  data.copy_ids(sample, ids.data());
  return ids;
}

std::vector<int32_t> span_of(const TokenDataset& data, int64_t sample) {
  const auto span = data.questions().span(sample);
  return {span.begin(), span.end()};
}

}  // namespace

TEST(Features, WindowsShareTheStrideAndCoverTheContext) {
  const Tokenizer tokenizer = word_tokenizer();
  std::string text = "a";
  for (int i = 1; i < 40; ++i) text += " " + std::string(1, static_cast<char>('a' + i % 8));
  const TokenizedText question = tokenize("t", tokenizer, "h g h");
  for (int64_t length : {8, 9, 13, 20, 43, 44, 45, 100}) {
    for (int64_t stride = 0; stride < std::min<int64_t>(length - 6, 12); ++stride) {
      for (int words : {1, 2, 7, 39, 40}) {
        const TokenizedText context =
            tokenize("t", tokenizer, text.substr(0, static_cast<size_t>(2 * words - 1)));
        const auto parts = make_parts(question, context, {length, stride, 3});
        size_t covered = 0;
        for (size_t p = 0; p < parts.size(); ++p) {
          const ContextPart& part = parts[p];
          EXPECT_LE(part.sample.ids.size(), static_cast<size_t>(length));
          EXPECT_EQ(part.sample.ids.size(), 6 + part.end - part.begin);
          EXPECT_EQ(part.begin + (p == 0 ? 0 : static_cast<size_t>(stride)), covered);
          covered = part.end;
          if (p + 1 < parts.size()) {
            EXPECT_EQ(part.sample.ids.size(), static_cast<size_t>(length));
          }
          for (size_t t = part.begin; t < part.end; ++t) {
            EXPECT_EQ(part.sample.ids[part.first_token() + t - part.begin], context.pieces[t].id);
          }
        }
        EXPECT_EQ(covered, context.pieces.size());
      }
    }
  }
}

TEST(Features, RefuseOptionsWithoutRoom) {
  EXPECT_EQ(error_of([] { check(FeatureOptions{9, 2, 3}); }), "no error");
  EXPECT_THAT(error_of([] {
                check(FeatureOptions{8, 2, 3});
              }),
              AllOf(HasSubstr("[max-length]"), HasSubstr("at least 9"), HasSubstr("--doc-stride")));
  EXPECT_THAT(error_of([] { check(FeatureOptions{9, -1, 3}); }), HasSubstr("[doc-stride]"));
  EXPECT_THAT(error_of([] { check(FeatureOptions{9, 2, 0}); }), HasSubstr("[max-question]"));
  EXPECT_THAT(error_of([] { check(FeatureOptions{9, INT64_MAX, 3}); }), HasSubstr("[doc-stride]"));
  EXPECT_THAT(error_of([] {
                check(FeatureOptions{9, 2, INT64_MAX});
              }),
              HasSubstr("[max-question]"));
}

TEST(Features, TheDatasetHoldsQuestionsTargetsAndPlaces) {
  const TemporaryFolder folder;
  //                                 a b c d e f
  const PrepareReport report = prepare_content(
      folder, "in.json",
      squad("a b  c d e f",
            {{"one", "h", {{"c d", 5}, {"c", 5}}}, {"two", "h g h g", {{"a b  c d e", 0}}}}),
      qa_options(8, 2, 2));
  const TokenDataset data = TokenDataset::open(folder / "out");
  EXPECT_EQ(data.info().task, "qa");
  ASSERT_TRUE(data.has_questions());
  const Questions& questions = data.questions();
  ASSERT_EQ(questions.size(), 2);
  // Question one: [CLS] h [SEP] and 4 of the context: a-d, c-f. Question two, cut to h g: 3 of it.
  ASSERT_EQ(data.size(), 2 + 4);
  const Tokenizer t = word_tokenizer();
  const auto id = [&](const char* word) { return t.encode(word).front().id; };
  EXPECT_THAT(ids_of(data, 1), ElementsAre(t.specials().cls, id("h"), t.specials().sep, id("c"),
                                           id("d"), id("e"), id("f"), t.specials().sep));
  EXPECT_THAT(data.segments(1), ElementsAre(0, 0, 0, 1, 1, 1, 1, 1));
  EXPECT_THAT(data.words(1), ElementsAre(-1, 0, -1, 1, 2, 3, 4, -1));
  EXPECT_THAT(span_of(data, 0), ElementsAre(5, 6));
  EXPECT_THAT(span_of(data, 1), ElementsAre(3, 4));
  for (int64_t s = 2; s < 6; ++s) EXPECT_THAT(span_of(data, s), ElementsAre(0, 0));
  EXPECT_THAT(questions.places(data.offsets()[1], data.offsets()[2]),
              ElementsAre(-1, -1, -1, -1, -1, -1, 5, 6, 7, 8, 9, 10, 11, 12, -1, -1));
  EXPECT_EQ(questions.id(1), "two");
  EXPECT_EQ(questions.context(0), "a b  c d e f");
  EXPECT_EQ(questions.context(1).data(), questions.context(0).data());  // stored once
  EXPECT_THAT(questions.answers(0), ElementsAre("c d", "c"));
  EXPECT_EQ(data.info().unanswerable, 1);
  EXPECT_THAT(report.targets.notes,
              ElementsAre(HasSubstr("2 questions in 6 features, 4 of these without the answer"),
                          HasSubstr("1 questions whose answer is in no feature; 1 questions cut")));
  const Batch batch = make_batch(data, std::vector<int64_t>{1, 3});
  EXPECT_THAT(batch.spans.span<int32_t>(), ElementsAre(3, 4, 0, 0));
}

TEST(Features, BadRecordsAndOptionsAreNamed) {
  const TemporaryFolder folder;
  const std::string content =
      squad("a b", {{"1", "h", {{"a", 1}}}, {"2", "h", {{"b", 2}}}, {"3", "h", {{"x", 0}}}});
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.json", content, qa_options(9, 2, 2)); }),
              AllOf(HasSubstr("2 bad lines, 1 good"), HasSubstr("question 1 (id \"1\")"),
                    HasSubstr("question 3 (id \"3\")")));
  PrepareOptions options = qa_options(9, 2, 2);
  options.skip_bad_lines = 2;
  EXPECT_EQ(prepare_content(folder, "in.json", content, options).samples, 1);
  options.skip_bad_lines = 0;
  options.strict = true;
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.json", content, options); }),
              AllOf(HasSubstr("question 1"), ::testing::Not(HasSubstr("question 3"))));
  EXPECT_THAT(
      error_of([&] { prepare_content(folder, "in.tsv", "question\n", qa_options(9, 2, 2)); }),
      HasSubstr("--format squad"));
  PrepareOptions other = options_for("classification", "label");
  other.doc_stride = 3;
  EXPECT_THAT(
      error_of([&] { prepare_content(folder, "in.tsv", "sentence\tlabel\na\t1\n", other); }),
      HasSubstr("[doc-stride]"));
  PrepareOptions text = qa_options(9, 2, 2);
  text.text = "title";
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.json", content, text); }),
              HasSubstr("[text]"));
}

TEST(Features, ADamagedQuestionIsNamed) {
  const TemporaryFolder folder;
  prepare_content(folder, "in.json", squad("a b", {{"1", "h", {{"a", 0}}}, {"2", "h", {{"b", 2}}}}),
                  qa_options(9, 2, 2));
  const SafetensorsFile file(folder / "out");
  const auto damaged = [&](const std::string& name, int64_t at, int64_t value) {
    SafetensorsWriter writer;
    for (const auto& [key, text] : file.metadata()) {
      if (key != "xxh3") writer.metadata(key, text);
    }
    std::vector<uint16_t> ids(file.array<uint16_t>("ids").begin(),
                              file.array<uint16_t>("ids").end());
    writer.add_array<uint16_t>("ids", ids, {static_cast<int64_t>(ids.size())});
    std::vector<Tensor> kept;
    for (const auto& entry : file.entries()) {
      if (entry.first == "ids") continue;
      Tensor values = file.tensor(entry.first).clone();
      if (entry.first == name && values.dtype() == DType::i32)
        values.data<int32_t>()[at] = static_cast<int32_t>(value);
      if (entry.first == name && values.dtype() == DType::i64) values.data<int64_t>()[at] = value;
      if (entry.first == name && values.dtype() == DType::u8)
        values.data<uint8_t>()[at] = static_cast<uint8_t>(value);
      writer.add(entry.first, values);
    }
    writer.save(folder / "damaged");
    return error_of([&] { TokenDataset::open(folder / "damaged"); });
  };
  EXPECT_EQ(damaged("none", 0, 0), "no error");
  EXPECT_THAT(damaged("spans", 1, 99), HasSubstr("span of sample 0 is outside"));
  EXPECT_THAT(damaged("spans", 0, -1), HasSubstr("span of sample 0 is outside"));
  EXPECT_THAT(damaged("places", 7, 99), HasSubstr("outside its context"));
  EXPECT_THAT(damaged("questions", 0, -1), HasSubstr("sample 0 is of no question"));
  EXPECT_THAT(damaged("questions", 0, 1), HasSubstr("a question has no sample"));
  EXPECT_THAT(damaged("questions", 1, 0), HasSubstr("a question has no sample"));
  EXPECT_THAT(damaged("question_contexts", 0, 5), HasSubstr("context is not there"));
  EXPECT_THAT(damaged("context_offsets", 1, 1 << 20),
              HasSubstr("\"context_offsets\" does not ascend"));
  EXPECT_THAT(damaged("question_answers", 1, 3), HasSubstr("\"question_answers\" does not ascend"));
  EXPECT_THAT(damaged("contexts", 0, 0xff), HasSubstr("not UTF-8"));
}

TEST(Features, TheTokensOfEveryTargetCoverTheAnswer) {
  const TemporaryFolder folder;
  const auto path = testing::unpack_squad_dev(folder);
  if (!path) GTEST_SKIP() << testing::kNoSquad;
  ReaderOptions reading;
  reading.format = RecordFormat::squad;
  std::vector<Record> records;
  std::vector<std::string> lines;
  const auto reader = RecordReader::open(*path, {"question", "context"}, reading);
  while (auto record = reader->next()) {
    lines.push_back(record->values[0]);
    if (lines.size() % 10 == 0) lines.push_back(record->values[1]);
    records.push_back(std::move(*record));
  }
  ASSERT_EQ(records.size(), 9549u);
  TokenizerOptions kind;
  kind.vocabulary = 1500;
  const Tokenizer tokenizer = Tokenizer::train(kind, lines);
  PrepareOptions options = qa_options(128, 32, 32);
  options.reader.format = RecordFormat::squad;
  prepare(*path, tokenizer, options, folder / "out");
  const TokenDataset data = TokenDataset::open(folder / "out");
  int64_t targets = 0, exact = 0;
  std::vector<bool> found(records.size());
  for (int64_t s = 0; s < data.size(); ++s) {
    const auto question = static_cast<size_t>(data.questions().of_sample(s));
    const ByteSpan place = records[question].answers.front().place;
    ASSERT_EQ(data.questions().context(data.questions().of_sample(s)), records[question].values[1]);
    const auto places = data.questions().places(data.offsets()[static_cast<size_t>(s)],
                                                data.offsets()[static_cast<size_t>(s) + 1]);
    const auto span = data.questions().span(s);
    if (span[0] == 0) {
      // Not all of the answer is here: the part begins behind its begin or ends before its end.
      int32_t begin = INT32_MAX, end = -1;
      for (size_t t = 0; t < places.size(); t += 2) {
        if (places[t] < 0 || places[t] == places[t + 1]) continue;
        begin = std::min(begin, places[t]);
        end = std::max(end, places[t + 1]);
      }
      EXPECT_TRUE(begin > place.begin || end < place.end) << "sample " << s;
      continue;
    }
    ++targets;
    found[question] = true;
    const int32_t begin = places[2 * static_cast<size_t>(span[0])];
    const int32_t end = places[2 * static_cast<size_t>(span[1]) + 1];
    EXPECT_LE(begin, place.begin);
    EXPECT_GE(end, place.end);
    exact += begin == place.begin && end == place.end;
  }
  EXPECT_GT(targets, 9549);
  EXPECT_GT(exact, targets * 95 / 100);
  EXPECT_EQ(std::count(found.begin(), found.end(), false), data.info().unanswerable);
}

}  // namespace filigree
