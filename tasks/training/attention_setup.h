// From the text of a pattern to attention that fits a model and a dataset.
#pragma once

#include <functional>
#include <string>

#include "tasks/dataset/dataset.h"
#include "tasks/training/model_file.h"

namespace filigree {

/// Completes a model's attention: if a pattern compares tokens and info.vectors is null, these
/// become a copy of the encoder's input embeddings; if a rule has a match:density, it is solved on
/// the dataset and info.pattern becomes the pattern that it gives. `note` gets a line a solved
/// rule. Throws ConfigError, DataError. Cost: none without a match, else see solve_match().
void set_up_attention(ModelInfo& info, const Encoder& encoder, const TokenDataset& data,
                      const std::function<void(const std::string&)>& note);

/// The attention of a model under a pattern (in these layers and heads) other than its own: vectors
/// as above, a match solved on `data`, which may be null if there is none. Throws ConfigError,
/// DataError, also if the dataset lacks what the pattern looks at.
AttentionPlan attention_under(const LoadedModel& model, const std::string& pattern,
                              const std::string& layers, const std::string& heads,
                              const TokenDataset* data,
                              const std::function<void(const std::string&)>& note);

/// Exact density of a plan on a dataset, in the mean over its layers. Cost: all its graphs once.
double density_on(const AttentionPlan& plan, const TokenDataset& data, uint64_t seed);

/// Throws DataError naming the dataset if it lacks what a pattern looks at (heads, word classes).
/// Cost: the graphs of one sample.
void expect_attention_fits(const AttentionPlan& plan, const TokenDataset& data);

}  // namespace filigree
