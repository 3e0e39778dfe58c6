// Tasks: their targets, losses, metrics and predictions.
#include "tasks/task/task.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/dataset/batch.h"
#include "tasks/task/classes.h"
#include "tasks/training/model_file.h"
#include "tests/error_text.h"
#include "tests/tasks/task_data.h"

namespace filigree {

namespace {

using ::testing::AllOf;
using testing::conllu_word;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::options_for;
using testing::prepare_content;
using testing::TemporaryFolder;
using testing::word_tokenizer;

TokenDataset opened(const TemporaryFolder& folder) { return TokenDataset::open(folder / "out"); }

ModelInfo info_of(const TokenDataset& data) {
  ModelInfo info;
  info.task = data.info().task;
  info.label_names = data.info().label_names;
  info.encoder = testing::tiny_encoder(data);
  return info;
}

const std::string kTree = conllu_word(1, "a", "DET") + conllu_word(2, "b", "NOUN") +
                          "3-4\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n" + conllu_word(3, "do", "AUX") +
                          conllu_word(4, "n't", "PART") + "4.1\te\t_\tX\t_\t_\t_\t_\t_\t_\n" +
                          conllu_word(5, "c", "VERB") + "\n";

}  // namespace

TEST(Tasks, AreFoundByNameAndMetricsToo) {
  for (const TaskKind& kind : task_kinds()) {
    const auto task = make_task("here", kind.name);
    ASSERT_FALSE(task->metrics().empty()) << kind.name;
    EXPECT_EQ(find_metric(*task, "").name, task->metrics().front().name);
    EXPECT_FALSE(find_metric(*task, "loss").higher_is_better);
    EXPECT_THAT(error_of([&] { find_metric(*task, "los"); }),
                AllOf(HasSubstr("[train.metric]"), HasSubstr("did you mean \"loss\"?")));
  }
  EXPECT_THAT(error_of([] { make_task("here", "tagginng"); }),
              AllOf(HasSubstr("[here]"), HasSubstr("did you mean \"tagging\"?")));
}

TEST(Tasks, RefuseADatasetOfAnother) {
  const TemporaryFolder folder;
  prepare_content(folder, "in.tsv", "sentence\tscore\na b\t1\nb\t2.5\n",
                  options_for("regression", "score"));
  EXPECT_EQ(opened(folder).info().task, "regression");
  for (const char* name : {"classification", "tagging"}) {
    EXPECT_THAT(error_of([&] { make_task("t", name)->expect_data(opened(folder)); }),
                HasSubstr("no labels"))
        << name;
  }
  EXPECT_EQ(error_of([&] { make_task("t", "regression")->expect_data(opened(folder)); }),
            "no error");
  prepare_content(folder, "in.tsv", "sentence\na b\n", options_for("classification", ""));
  EXPECT_EQ(opened(folder).info().task, kNoTask);
  EXPECT_THAT(error_of([&] { make_task("t", "regression")->expect_data(opened(folder)); }),
              HasSubstr("--task regression"));
}

TEST(Regression, LossAndMetricsByHand) {
  const TemporaryFolder folder;
  const PrepareReport report =
      prepare_content(folder, "in.tsv", "sentence\tscore\na b\t1\nb\t2.5\na\t-1e1\n",
                      options_for("regression", "score"));
  EXPECT_THAT(report.targets.notes, ElementsAre(HasSubstr("from -10 to 2.5, mean -2.1667")));
  const TokenDataset data = opened(folder);
  ASSERT_TRUE(data.has_scores());
  EXPECT_EQ(data.score(2), -10);
  const Batch batch = testing::whole_batch(data);
  const auto task = make_task("t", "regression");
  const ModelInfo info = info_of(data);
  const auto model = task->make_model(info);
  const Tensor outputs = Tensor::from(std::vector<float>{2, 2, 0}).view({3, 1});
  EXPECT_EQ(task->units(batch), 3);
  EXPECT_FLOAT_EQ(static_cast<float>(task->loss(*model, Variable(outputs), batch).value().item()),
                  1 + 0.25F + 100);
  const auto evaluation = task->evaluation(info, data);
  evaluation->add(*model, outputs, batch);
  Metrics metrics;
  evaluation->finish(metrics);
  EXPECT_NEAR(metrics.loss, 101.25 / 3, 1e-6);
  EXPECT_EQ(metrics.units, 3);
  EXPECT_GT(metrics.get("pearson"), 0.9);
  EXPECT_NEAR(metrics.get("spearman"), std::sqrt(0.75), 1e-12);  // ranks 2.5 2.5 1 and 2 3 1
  EXPECT_EQ(nlohmann::json::parse(
                task->predict(info, *model, Tensor::from(std::vector<float>{3.5F}), {})),
            nlohmann::json({{"score", 3.5}}));
  task->start_from_data(*model, data);
  EXPECT_NEAR(model->state_dict().at("classifier.bias").at(0), -6.5 / 3, 1e-6);
}

TEST(Regression, RefusesWhatIsNoNumber) {
  for (const char* wrong : {"", "x", "1.5x", "nan", "inf", "1e99", "1,5"}) {
    const TemporaryFolder folder;
    EXPECT_THAT(error_of([&] {
                  prepare_content(folder, "in.tsv",
                                  std::string("sentence\tscore\na\t1\nb\t") + wrong + "\n",
                                  options_for("regression", "score"));
                }),
                AllOf(HasSubstr("in.tsv:3"), HasSubstr("expected a number as score")))
        << wrong;
  }
  const TemporaryFolder folder;
  PrepareOptions options = options_for("regression", "score");
  options.labels = {"1"};
  EXPECT_THAT(
      error_of([&] { prepare_content(folder, "in.tsv", "sentence\tscore\na\t1\n", options); }),
      HasSubstr("for classes"));
  EXPECT_THAT(error_of([] { make_task("t", "regression", {0.1}); }), HasSubstr("smooth"));
}

TEST(Tagging, LabelsStandOnTheFirstPieceOfAWord) {
  const TemporaryFolder folder;
  PrepareOptions options = options_for("tagging", "upos");
  options.text = "text";
  const PrepareReport report = prepare_content(folder, "in.conllu", kTree, options);
  EXPECT_EQ(report.targets.counted, "words");
  EXPECT_THAT(report.targets.labels, ElementsAre("AUX", "DET", "NOUN", "PART", "VERB"));
  EXPECT_THAT(report.targets.label_counts, ElementsAre(1, 1, 1, 0, 1));
  EXPECT_THAT(report.targets.notes,
              ElementsAre(HasSubstr("0 cut off, 1 later words of contractions, 0 without")));
  const TokenDataset data = opened(folder);
  EXPECT_THAT(data.words(0), ElementsAre(-1, 0, 1, 2, 3, -1));
  EXPECT_THAT(data.token_labels(0), ElementsAre(-1, 1, 2, 0, 4, -1));
  EXPECT_EQ(data.info().unlabelled, 1);
  EXPECT_TRUE(data.has_heads());

  // Several pieces a word: the first one has the label.
  TokenizerOptions bpe;
  bpe.kind = TokenizerKind::bpe;
  bpe.vocabulary = 14;
  const Tokenizer letters = Tokenizer::train(
      bpe, std::vector<std::string>{"a b c d o n t ' n't", "do don't b a c a b ca ab"});
  prepare(folder / "in.conllu", letters, options, folder / "out");
  const TokenDataset pieces = opened(folder);
  int64_t labelled = 0;
  for (size_t i = 1; i < pieces.words(0).size(); ++i) {
    const int32_t word = pieces.words(0)[i];
    const bool first = word >= 0 && pieces.words(0)[i - 1] != word;
    EXPECT_EQ(pieces.token_labels(0)[i] >= 0, first) << i;
    labelled += first;
  }
  EXPECT_EQ(labelled, 4);
  EXPECT_GT(pieces.length(0), 6);
}

TEST(Tagging, WordsThatAreCutOffCount) {
  const TemporaryFolder folder;
  PrepareOptions options = options_for("tagging", "upos");
  options.text = "text";
  options.max_length = 4;
  const PrepareReport report = prepare_content(folder, "in.conllu", kTree, options);
  EXPECT_THAT(report.targets.notes,
              ElementsAre(HasSubstr("2 cut off, 1 later words of contractions, 0 without")));
  const TokenDataset data = opened(folder);
  EXPECT_THAT(data.token_labels(0), ElementsAre(-1, 1, 2, -1));
  const auto task = make_task("t", "tagging");
  const ModelInfo info = info_of(data);
  const auto model = task->make_model(info);
  const Batch batch = testing::whole_batch(data);
  EXPECT_EQ(task->units(batch), 2);
  Tensor logits = Tensor::zeros({4, 5}, DType::f32);
  logits.data<float>()[1 * 5 + 1] = 3;  // a: DET
  logits.data<float>()[2 * 5 + 4] = 3;  // b: VERB, which is wrong
  const auto evaluation = task->evaluation(info, data);
  evaluation->add(*model, logits, batch);
  Metrics metrics;
  evaluation->finish(metrics);
  EXPECT_EQ(metrics.units, 2);
  EXPECT_EQ(metrics.get("accuracy"), 0.5);
  EXPECT_EQ(metrics.get("accuracy_all"), 1.0 / 5);  // of the five words of the sentence
  const double normaliser = std::log(std::exp(3.0) + 4);
  EXPECT_NEAR(metrics.loss, (normaliser - 3 + normaliser) / 2, 1e-6);
  EXPECT_NEAR(task->loss(*model, Variable(logits), batch).value().item(), 2 * normaliser - 3, 1e-5);

  const Sample sample = make_sample("t", word_tokenizer(), {"a b c"}, 4);
  const auto json = nlohmann::json::parse(task->predict(info, *model, logits, sample));
  ASSERT_EQ(json.at("words").size(), 3u);
  EXPECT_EQ(json["words"][0]["word"], "a");
  EXPECT_EQ(json["words"][0]["tag"], "DET");
  EXPECT_EQ(json["words"][1]["tag"], "VERB");
  EXPECT_EQ(json["words"][2]["word"], "c");
  EXPECT_TRUE(json["words"][2]["tag"].is_null());
}

TEST(Tagging, SaysWhatIsWrongWithAFile) {
  const TemporaryFolder folder;
  PrepareOptions options = options_for("tagging", "upos");
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.tsv", "sentence\na\n", options); }),
              HasSubstr("CoNLL-U files only"));
  options.text = "text";
  EXPECT_THAT(
      error_of([&] { prepare_content(folder, "in.conllu", conllu_word(1, "a", "_"), options); }),
      AllOf(HasSubstr("in.conllu:1"), HasSubstr("the label is empty")));
  options.labels = {"DET"};
  EXPECT_THAT(error_of([&] {
                const std::string words = conllu_word(1, "a", "DET") + conllu_word(2, "b", "X");
                prepare_content(folder, "in.conllu", words, options);
              }),
              AllOf(HasSubstr("in.conllu:2]"), HasSubstr("expected a label among DET, got \"X\"")));
  options.label = "upo";
  EXPECT_THAT(
      error_of([&] { prepare_content(folder, "in.conllu", conllu_word(1, "a", "X"), options); }),
      HasSubstr("did you mean \"upos\"?"));
}

TEST(LabelMaps, RenameMergeAndLeaveOut) {
  const TemporaryFolder folder;
  PrepareOptions options = options_for("classification", "label");
  options.label_map = parse_label_map("yes=1,no=0,never=0,-=");
  const std::string content = "sentence\tlabel\na\tyes\nb\tno\nc\tnever\nd\t-\n";
  const PrepareReport report = prepare_content(folder, "in.tsv", content, options);
  EXPECT_EQ(report.left_out, 1);
  EXPECT_THAT(report.targets.labels, ElementsAre("1", "0"));  // in the order of the map
  EXPECT_THAT(report.targets.label_counts, ElementsAre(1, 2));
  EXPECT_EQ(opened(folder).label(2), 1);
  options.labels = {"0", "1"};
  EXPECT_THAT(prepare_content(folder, "in.tsv", content, options).targets.label_counts,
              ElementsAre(2, 1));
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.tsv", content + "e\tmaybe\n", options); }),
              AllOf(HasSubstr("in.tsv:6"), HasSubstr("among yes, no, never, -, got \"maybe\"")));
  options.labels = {"0"};
  EXPECT_THAT(error_of([&] { prepare_content(folder, "in.tsv", content, options); }),
              HasSubstr("\"yes\" becomes \"1\""));
  EXPECT_THAT(error_of([] { parse_label_map("a=1,b"); }), HasSubstr("expected LABEL=CLASS"));
  EXPECT_THAT(error_of([] { parse_label_map("a=1,a=2"); }), HasSubstr("named twice"));
}

TEST(BadLines, AreAllReadCountedAndListed) {
  const TemporaryFolder folder;
  std::string content = "sentence\tlabel\na\tx\nb\ty\n";
  for (int i = 0; i < 30; ++i) content += "only one column\n";
  PrepareOptions options;
  options.show_bad_lines = 3;
  const auto error = [&] {
    return error_of([&] { prepare_content(folder, "in.tsv", content, options); });
  };
  EXPECT_THAT(error(), AllOf(HasSubstr("30 bad lines, 2 good"), HasSubstr("in.tsv:4] expected 2"),
                             HasSubstr("in.tsv:6]"), Not(HasSubstr("in.tsv:7]")),
                             HasSubstr("and 27 more"), HasSubstr("--skip-bad-lines 30")));
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  options.skip_bad_lines = 29;
  EXPECT_THAT(error(), HasSubstr("30 bad lines"));
  options.skip_bad_lines = 30;
  const PrepareReport report = prepare_content(folder, "in.tsv", content, options);
  EXPECT_EQ(report.skipped, 30);
  EXPECT_EQ(report.bad_lines.size(), 3u);
  EXPECT_EQ(report.samples, 2);
  options.strict = true;
  EXPECT_THAT(error(), HasSubstr("exclude each other"));
  options.skip_bad_lines = 0;
  EXPECT_THAT(error(), AllOf(HasSubstr("[" + folder / "in.tsv" + ":4]"), Not(HasSubstr("bad"))));
}

TEST(Dataset, FilesOfTheFirstVersionAreRead) {
  const TemporaryFolder folder;
  SafetensorsWriter writer;
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"format", "filigree-dataset"},
                                          {"format_version", "1"},
                                          {"task", "classification"},
                                          {"tokenizer_hash", "0123"},
                                          {"source", "in.tsv"},
                                          {"vocabulary", "9"},
                                          {"max_length", "8"},
                                          {"truncated", "0"},
                                          {"skipped", "0"},
                                          {"label_names", "[\"a\",\"b\"]"}}) {
    writer.metadata(key, value);
  }
  const std::vector<uint16_t> ids{2, 5, 3};
  const std::vector<int64_t> offsets{0, 3};
  const std::vector<int32_t> words{-1, 0, -1}, labels{1};
  writer.add_array<uint16_t>("ids", ids, {3});
  writer.add_array<int64_t>("offsets", offsets, {2});
  writer.add_array<int32_t>("words", words, {3});
  writer.add_array<int32_t>("labels", labels, {1});
  writer.save(folder / "out");
  const TokenDataset data = opened(folder);
  EXPECT_EQ(data.label(0), 1);
  EXPECT_FALSE(data.has_scores() || data.has_token_labels());
  writer.metadata("format_version", "3");
  writer.save(folder / "out");
  EXPECT_THAT(error_of([&] { opened(folder); }), HasSubstr("format version 1 or 2, got \"3\""));
}

TEST(Dataset, TargetsAreChecked) {
  DatasetInfo info;
  info.vocabulary = 10;
  info.tokenizer_hash = "0123";
  const auto add = [&](DatasetWriter& writer, const Target& target) {
    const std::vector<int32_t> ids{2, 3}, words{-1, -1};
    return error_of([&] { writer.add(ids, words, {}, {}, target); });
  };
  const auto scored = [](float score) {
    Target target;
    target.score = score;
    return target;
  };
  const auto tagged = [](std::vector<int32_t> labels) {
    Target target;
    target.token_labels = std::move(labels);
    return target;
  };
  DatasetWriter scores(info), tags(info);
  EXPECT_THAT(add(scores, scored(std::nanf(""))), HasSubstr("finite"));
  EXPECT_EQ(add(scores, scored(1)), "no error");
  EXPECT_THAT(add(scores, {}), HasSubstr("for all samples or for none"));
  EXPECT_THAT(add(tags, tagged({0})), HasSubstr("as many token labels"));
  EXPECT_THAT(add(tags, tagged({0, -2})), HasSubstr("from -1, got -2"));
  EXPECT_EQ(add(tags, tagged({-1, 1})), "no error");
  EXPECT_THAT(add(tags, tagged({})), HasSubstr("for all samples or for none"));
  const TemporaryFolder folder;
  tags.info().label_names = {"a"};
  EXPECT_THAT(error_of([&] { tags.save(folder / "out"); }), HasSubstr("without a name"));
  tags.info().label_names = {"a", "b"};
  tags.save(folder / "out");
  const Batch batch = testing::whole_batch(opened(folder));
  EXPECT_THAT(std::as_const(batch.token_labels).span<int32_t>(), ElementsAre(-1, 1));
  EXPECT_FALSE(batch.scores.defined());
}

}  // namespace filigree
