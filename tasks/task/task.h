// Task: what is learned from a dataset. One file a task and a line in table.cpp: nothing else knows
// the tasks by name.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/model.h"
#include "tasks/dataset/batch.h"
#include "tasks/task/masking.h"
#include "tasks/task/target_reader.h"
#include "tasks/training/metrics.h"

namespace filigree {

struct ModelInfo;  // tasks/training/model_file.h
class TextParser;  // tasks/syntax/parse_texts.h

/// How questions are answered.
struct AnswerOptions {
  int64_t max_answer = 30;              ///< tokens of an answer at most
  int64_t best = 20;                    ///< so many answers are kept
  std::optional<int64_t> max_length;    ///< of questions in text: see FeatureOptions
  std::optional<int64_t> doc_stride;    ///< the same
  std::optional<int64_t> max_question;  ///< the same
};

/// Settings that bear on tasks. A task that cannot follow one throws ConfigError when it is made.
struct TaskOptions {
  double smoothing = 0;         ///< label smoothing of the training loss
  MaskingOptions masking = {};  ///< of tokens; the standard one for tasks that hide none
  AnswerOptions answers = {};   ///< of question answering
};

/// The prediction for what a dataset has under this name.
struct NamedPrediction {
  std::string name;
  std::string answer;  ///< the answer alone
  std::string json;    ///< all that is known of it, a JSON object
};

/// Loss and metrics of a split, gathered batch by batch.
class Evaluation {
 public:
  virtual ~Evaluation() = default;
  /// `outputs` of the model for the batch.
  virtual void add(const Model& model, const Tensor& outputs, const Batch& batch) = 0;
  /// Sets loss, units and values (in the order of Task::metrics()).
  virtual void finish(Metrics& metrics) const = 0;
  /// Of what has a name in the dataset: questions. None in other tasks.
  virtual std::vector<NamedPrediction> predictions() const { return {}; }
};

/// A kind of prediction: what the data must hold, the model's head, the loss, the metrics, the form
/// of a prediction. Without state but its options: the same object serves every thread and model.
class Task {
 public:
  virtual ~Task() = default;

  /// Throws DataError, with what to do, unless the dataset holds what the task learns from.
  virtual void expect_data(const TokenDataset& data) const = 0;
  /// The names of the model's classes, as the dataset has them; none for a task without classes.
  virtual std::vector<std::string> label_names(const TokenDataset& data) const {
    return data.info().label_names;
  }
  /// A model of this shape with weights of zero (norms one). Throws ConfigError, CheckpointError.
  virtual std::unique_ptr<Model> make_model(const ModelInfo& info) const = 0;
  /// Puts values that follow from the training data into an initialised model.
  virtual void start_from_data(Model& /*model*/, const TokenDataset& /*data*/) const {}
  /// True if the answer is read from the first token alone, which must then be reached by all.
  virtual bool reads_first_token(const ModelInfo& info) const = 0;
  /// True if TaskOptions::answers bear on it.
  virtual bool answers_questions() const { return false; }

  /// Makes inputs and targets that are not in the dataset (hides tokens, say). Called once a batch,
  /// before its graphs are built and its units are counted. Epochs of a training count from 1; an
  /// evaluation is epoch 0. Pure: the same (seed, epoch, samples) give the same, so that a run can
  /// be resumed.
  virtual void draw(Batch& /*batch*/, uint64_t /*seed*/, int64_t /*epoch*/) const {}
  /// What the loss of the batch is a sum over: samples, labelled words, hidden tokens. A step's
  /// loss is divided by the units of all its batches, so that N batches equal one N times as large.
  virtual int64_t units(const Batch& batch) const = 0;
  /// Sum of the training loss over the units; `outputs` = model.forward() of the batch.
  virtual Variable loss(const Model& model, const Variable& outputs, const Batch& batch) const = 0;

  /// The metrics beside "loss", at least one; the best model is by default the best in the first.
  virtual std::vector<MetricKind> metrics() const = 0;
  /// Gathers loss and metrics of a dataset that expect_data() accepts.
  virtual std::unique_ptr<Evaluation> evaluation(const ModelInfo& info,
                                                 const TokenDataset& data) const = 0;
  /// A line of text as the samples that its prediction is made of: one, unless the task cuts the
  /// text in parts. A parser, if there is one, gives the syntax of the text. Throws DataError at
  /// `where`.
  virtual std::vector<Sample> read_line(const ModelInfo& info, const Tokenizer& tokenizer,
                                        const std::string& where, const std::string& line,
                                        TextParser* parser) const;
  /// The prediction for the parts of a text, as predict().
  virtual std::string predict_parts(const ModelInfo& info, const Model& model,
                                    std::span<const Tensor> outputs,
                                    std::span<const Sample> samples) const;
  /// The prediction for a sample as one JSON object; `outputs` are the model's for a batch of it
  /// alone.
  virtual std::string predict(const ModelInfo& info, const Model& model, const Tensor& outputs,
                              const Sample& sample) const = 0;

  /// True if `prepare` takes documents for this task, packed into samples, not records.
  virtual bool reads_documents() const { return false; }
  /// How `prepare` gets the targets of this task. Throws ConfigError where the task's data are not
  /// made so, or the options make no sense for it.
  virtual std::unique_ptr<TargetReader> target_reader(const TargetOptions& options) const = 0;
};

struct TaskKind {
  std::string name;     ///< as in a dataset's and a model's description, and in --train.task
  std::string summary;  ///< one line, for `filigree info`
  std::unique_ptr<Task> (*make)(const TaskOptions& options);
  bool hides_tokens = false;  ///< takes TaskOptions::masking
};

/// All tasks.
const std::vector<TaskKind>& task_kinds();
/// Throws ConfigError at `where` with the nearest name.
std::shared_ptr<const Task> make_task(std::string_view where, const std::string& name,
                                      const TaskOptions& options = {});
/// The metric of this name, the first if it is empty; "loss" is known to every task. Throws
/// ConfigError [train.metric] with the nearest name.
MetricKind find_metric(const Task& task, const std::string& name);

/// The epoch of an evaluation, see Task::draw().
inline constexpr int64_t kEvaluationEpoch = 0;
/// The task name of a dataset without targets.
inline constexpr std::string_view kNoTask = "text";

}  // namespace filigree
