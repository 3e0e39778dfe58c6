// Options of commands that answer questions.
#pragma once

#include "tasks/training/model_file.h"
#include "tools/filigree/options.h"

namespace filigree {

/// --max-answer and --n-best, and how a text is divided: --max-length, --doc-stride,
/// --max-question. Must live as long as the options are parsed.
class AnswerFlags {
 public:
  explicit AnswerFlags(Options& cli) : cli_(cli) {
    cli.add("max-answer", options_.max_answer, "answers of questions: tokens at most [30]");
    cli.add("n-best", options_.best, "answers of questions: so many are kept [20]");
  }
  void add_text_options() {
    cli_.add("max-length", length_, "questions: tokens of a feature at most [384]");
    cli_.add("doc-stride", stride_, "questions: tokens that neighbouring features share [128]");
    cli_.add("max-question", question_, "questions: tokens of the question at most [64]");
  }
  /// Gives the options to the model's task. Throws ConfigError if one was given and the task
  /// answers no questions.
  void apply(LoadedModel& loaded) {
    for (const char* name : {"max-answer", "n-best", "max-length", "doc-stride", "max-question"}) {
      if (!cli_.given(name)) continue;
      if (!loaded.task->answers_questions()) {
        throw ConfigError(
            name, "it is for models that answer questions, the model's task is " + loaded.info.task,
            "leave it out");
      }
    }
    if (!loaded.task->answers_questions()) return;
    if (cli_.given("max-length")) options_.max_length = length_;
    if (cli_.given("doc-stride")) options_.doc_stride = stride_;
    if (cli_.given("max-question")) options_.max_question = question_;
    TaskOptions options;
    options.answers = options_;
    loaded.task = make_task("task", loaded.info.task, options);
  }

 private:
  Options& cli_;
  AnswerOptions options_;
  int64_t length_ = 0, stride_ = 0, question_ = 0;
};

}  // namespace filigree
