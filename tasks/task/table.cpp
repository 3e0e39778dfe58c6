// The table of tasks: a new task is a file and a line here.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "tasks/task/task.h"

namespace filigree {

TaskKind classification_task();
TaskKind masked_lm_task();
TaskKind question_answering_task();
TaskKind regression_task();
TaskKind tagging_task();

const std::vector<TaskKind>& task_kinds() {
  static const std::vector<TaskKind> kinds{classification_task(), regression_task(), tagging_task(),
                                           question_answering_task(), masked_lm_task()};
  return kinds;
}

std::shared_ptr<const Task> make_task(std::string_view where, const std::string& name,
                                      const TaskOptions& options) {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) {
    names.push_back(kind.name);
    if (kind.name != name) continue;
    if (!kind.hides_tokens && options.masking != MaskingOptions{}) {
      throw ConfigError("train.mask_share", fmt::format("{} hides no tokens", name),
                        "leave mask_share, mask_words and mask_fixed out");
    }
    return kind.make(options);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(
      where, fmt::format("expected a task among {}, got \"{}\"", fmt::join(names, ", "), name),
      near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

MetricKind find_metric(const Task& task, const std::string& name) {
  std::vector<MetricKind> kinds = task.metrics();
  if (name.empty()) return kinds.front();
  kinds.push_back({"loss", false});
  std::vector<std::string> names;
  for (const MetricKind& kind : kinds) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError("train.metric",
                    fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace filigree
