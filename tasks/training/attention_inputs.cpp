#include "tasks/training/attention_inputs.h"

#include <algorithm>
#include <numeric>

#include "autograd/variable.h"
#include "tasks/training/evaluate.h"

namespace filigree {

std::vector<AttentionInputs> attention_inputs(const LoadedModel& loaded, const Batch& batch,
                                              const LayerGraphs& graphs) {
  std::vector<AttentionInputs> inputs;
  const AttentionObserver observer = [&](int layer, const Variable& qkv, const Variable& bias) {
    inputs.push_back({qkv.value().to(kCpu), graphs[static_cast<size_t>(layer)],
                      bias.defined() ? bias.value().to(kCpu) : Tensor(), 0});
  };
  ForwardContext context;
  context.attention = &observer;
  const NoGrad no_grad;
  loaded.model->forward(token_batch(*loaded.model, batch), graphs, context);
  return inputs;
}

Batch first_batch(const TokenDataset& dataset, int64_t samples) {
  std::vector<int64_t> numbers(static_cast<size_t>(std::min(samples, dataset.size())));
  std::iota(numbers.begin(), numbers.end(), 0);
  return make_batch(dataset, numbers);
}

}  // namespace filigree
