#include "tasks/task/task.h"

#include "tasks/training/model_input.h"

namespace filigree {

std::vector<Sample> Task::read_line(const ModelInfo& info, const Tokenizer& tokenizer,
                                    const std::string& where, const std::string& line,
                                    TextParser* parser) const {
  if (parser) return {sample_of_line(info, tokenizer, where, line, *parser)};
  return {sample_of_line(info, tokenizer, where, line)};
}

std::string Task::predict_parts(const ModelInfo& info, const Model& model,
                                std::span<const Tensor> outputs,
                                std::span<const Sample> samples) const {
  return predict(info, model, outputs.front(), samples.front());
}

}  // namespace filigree
