// Question answering: loss, the search for the best answers, joining, metrics.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "tasks/task/answer_search.h"
#include "tasks/training/model_file.h"
#include "tests/error_text.h"
#include "tests/tasks/task_data.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::prepare_content;
using testing::TemporaryFolder;
using testing::word_tokenizer;

/// Two questions of "a b c d e f" in features of 3 tokens of it, one shared.
TokenDataset two_questions(const TemporaryFolder& folder) {
  const char* content =
      R"({"data": [{"title": "t", "paragraphs": [{"context": "a b c d e f", "qas": [
        {"id": "one", "question": "h", "answers": [{"text": "e f", "answer_start": 8}]},
        {"id": "two", "question": "g", "answers": [{"text": "a", "answer_start": 0},
                                                   {"text": "b c", "answer_start": 2}]}]}]}]})";
  PrepareOptions options = testing::options_for("qa", "label");
  options.max_length = 7;
  options.doc_stride = 1;
  options.max_question = 1;
  prepare_content(folder, "in.json", content, options);
  return TokenDataset::open(folder / "out");
}

ModelInfo info_of(const TokenDataset& data) {
  ModelInfo info;
  info.task = "qa";
  info.pairs = true;
  info.encoder = testing::tiny_encoder(data);
  return info;
}

}  // namespace

TEST(AnswerSearch, FindsWhatAllSpansHold) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    AnswerSearch search({3, 5});
    std::map<std::pair<int64_t, int64_t>, double> all;  // of bytes, the best score
    for (int part = 0; part < 3; ++part) {
      Tensor logits({10, 2}, DType::f32);
      // Few different values, so that there are ties; features that share tokens.
      for (int64_t i = 0; i < 20; ++i) logits.data<float>()[i] = static_cast<float>(random() % 4);
      std::vector<int32_t> places{-1, -1};
      for (int32_t t = 0; t < 9; ++t) {
        const int32_t begin = 3 * (5 * part + t);
        places.push_back(begin);
        places.push_back(t % 4 == 3 ? begin : begin + 2);  // some hold no byte
      }
      search.add(logits, 0, places);
      for (size_t i = 1; i < 10; ++i) {
        for (size_t j = i; j < std::min<size_t>(10, i + 3); ++j) {
          if (i % 4 == 0 || j % 4 == 0) continue;
          const auto at = std::pair<int64_t, int64_t>(places[2 * i], places[2 * j + 1]);
          const double score =
              logits.at(static_cast<int64_t>(2 * i)) + logits.at(static_cast<int64_t>(2 * j + 1));
          const auto [entry, is_new] = all.emplace(at, score);
          if (!is_new) entry->second = std::max(entry->second, score);
        }
      }
    }
    std::vector<std::tuple<double, int64_t, int64_t>> expected;
    for (const auto& [at, score] : all) expected.emplace_back(-score, at.first, at.second);
    std::sort(expected.begin(), expected.end());
    const std::vector<Answer> found = search.best();
    ASSERT_EQ(found.size(), 5u);
    double sum = 0;
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(std::tuple(-found[i].score, found[i].place.begin, found[i].place.end), expected[i]);
      sum += found[i].probability;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(AnswerSearch, EdgeCases) {
  AnswerSearch search({});
  EXPECT_THAT(search.best(), ElementsAre());
  Tensor logits({2, 2}, DType::f32);
  logits.fill(NAN);
  search.add(logits, 0, std::vector<int32_t>{0, 1, 1, 2});
  EXPECT_THAT(search.best(), ElementsAre());
  EXPECT_THAT(error_of([] { AnswerSearch({0, 1}); }), HasSubstr("[max-answer]"));
  EXPECT_THAT(error_of([] { AnswerSearch({1, 0}); }), HasSubstr("[n-best]"));
  // Pieces may be single bytes of a character; the text is never cut inside of one.
  EXPECT_EQ(answer_text("x\u00e9\u65e5y", {2, 4}), "\u00e9\u65e5");
  EXPECT_EQ(answer_text("a  b", {1, 3}), "");
  EXPECT_EQ(answer_text("a  b", {1, 4}), "b");
}

TEST(QuestionAnswering, LossIsTheMeanOfStartAndEnd) {
  const TemporaryFolder folder;
  const TokenDataset data = two_questions(folder);
  ASSERT_EQ(data.size(), 6);  // abc, cde, ef, twice
  const Batch batch = testing::whole_batch(data);
  const auto task = make_task("t", "qa");
  const auto model = task->make_model(info_of(data));
  EXPECT_EQ(task->units(batch), 6);
  Tensor logits = Tensor::zeros({batch.tokens(), 2}, DType::f64);
  // Lengths 7, 7, 6; 7, 7, 6. Of sample 2 the answer "e f" is tokens 3 and 4.
  EXPECT_THAT(batch.spans.span<int32_t>(), ElementsAre(0, 0, 0, 0, 3, 4, 3, 3, 0, 0, 0, 0));
  logits.data<double>()[2 * (14 + 3)] = std::log(5.0);  // softmax of the start: 5/10
  const double loss = task->loss(*model, Variable(logits), batch).value().item();
  const double expected = 4 * std::log(7.0) + (std::log(2.0) + std::log(6.0)) / 2 + std::log(6.0);
  EXPECT_NEAR(loss, expected, 1e-12);
  const auto evaluation = task->evaluation(info_of(data), data);
  evaluation->add(*model, logits, batch);
  Metrics metrics;
  evaluation->finish(metrics);
  EXPECT_NEAR(metrics.loss, expected / 6, 1e-12);
  EXPECT_EQ(metrics.units, 6);
}

TEST(QuestionAnswering, JoinsTheFeaturesOfAQuestionOverBatches) {
  const TemporaryFolder folder;
  const TokenDataset data = two_questions(folder);
  const ModelInfo info = info_of(data);
  const auto task = make_task("t", "qa");
  const auto model = task->make_model(info);
  Tensor logits = Tensor::zeros({40, 2}, DType::f32);
  const auto set = [&](int64_t sample, int64_t token, int64_t column, float value) {
    logits.data<float>()[2 * (data.offsets()[static_cast<size_t>(sample)] + token) + column] =
        value;
  };
  set(0, 0, 0, 50);  // [CLS] is no answer, nor is the question
  set(0, 1, 1, 50);
  set(1, 4, 0, 3);  // "d" to "e" in the second feature ..
  set(1, 5, 1, 3);
  set(2, 3, 0, 4);  // .. and better, "e" to "f" in the third
  set(2, 4, 1, 4);
  set(3, 4, 0, 2);  // question two: "b"; its end lies before
  set(3, 3, 1, 2);
  const auto evaluation = task->evaluation(info, data);
  for (const std::vector<int64_t>& samples :
       std::vector<std::vector<int64_t>>{{0, 1}, {2, 3}, {4}, {5}}) {
    const Batch batch = make_batch(data, samples);
    const int64_t first = data.offsets()[static_cast<size_t>(samples[0])];
    evaluation->add(*model, logits.slice(first, batch.tokens()), batch);
  }
  Metrics metrics;
  evaluation->finish(metrics);
  const auto predictions = evaluation->predictions();
  ASSERT_EQ(predictions.size(), 2u);
  EXPECT_EQ(predictions[0].name, "one");
  EXPECT_EQ(predictions[0].answer, "e f");
  const auto json = nlohmann::json::parse(predictions[0].json);
  EXPECT_EQ(json["best"][0]["bytes"], nlohmann::json({8, 11}));
  EXPECT_EQ(json["best"][0]["score"], 8);
  EXPECT_EQ(json["best"].size(), 13u);    // 6 + 6 + 3 spans, "c" and "e" twice
  EXPECT_EQ(predictions[1].answer, "a");  // a span may not run backwards: ties go to the first
  EXPECT_EQ(metrics.get("exact_match"), 100);
  EXPECT_EQ(metrics.get("f1"), 50);  // "a" is an article: no word is left to share
}

TEST(QuestionAnswering, PredictsOfTextInParts) {
  const TemporaryFolder folder;
  const TokenDataset data = two_questions(folder);
  const ModelInfo info = info_of(data);
  TaskOptions options;
  options.answers.max_length = 7;
  options.answers.doc_stride = 1;
  options.answers.max_question = 1;
  const auto task = make_task("t", "qa", options);
  const auto model = task->make_model(info);
  const Tokenizer tokenizer = word_tokenizer();
  for (const char* line : {R"({"question": "h", "context": "a b c d e f"})", "h\ta b c d e f"}) {
    const auto samples = task->read_line(info, tokenizer, "line 1", line, nullptr);
    ASSERT_EQ(samples.size(), 3u);
    std::vector<Tensor> outputs;
    for (int64_t s = 0; s < 3; ++s) {
      std::vector<int32_t> ids(static_cast<size_t>(data.length(s)));
      data.copy_ids(s, ids.data());
      EXPECT_EQ(samples[static_cast<size_t>(s)].ids, ids);  // as prepare makes them
      outputs.push_back(Tensor::zeros({data.length(s), 2}, DType::f32));
    }
    outputs[2].data<float>()[2 * 4] = 1;
    const auto json = nlohmann::json::parse(task->predict_parts(info, *model, outputs, samples));
    EXPECT_EQ(json["answer"], "f");
  }
  const auto wrong = [&](const std::string& line) {
    return error_of([&] { task->read_line(info, tokenizer, "line 1", line, nullptr); });
  };
  EXPECT_THAT(wrong("no tab"), AllOf(HasSubstr("[line 1]"), HasSubstr("a question and a context")));
  EXPECT_THAT(wrong("{"), HasSubstr("not JSON"));
  EXPECT_THAT(wrong("{\"question\": \"a\"}"), HasSubstr("\"context\""));
  EXPECT_THAT(wrong("{\"question\": 1, \"context\": \"a\"}"), HasSubstr("\"question\""));
  EXPECT_THAT(wrong("a\t "), HasSubstr("is empty"));
  EXPECT_THAT(error_of([] { make_task("t", "qa", {0.1, {}}); }), HasSubstr("smooth"));
}

}  // namespace filigree
