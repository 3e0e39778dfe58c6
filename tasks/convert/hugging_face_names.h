// Names of parameters: ours and those of transformers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tasks/convert/hugging_face_config.h"

namespace filigree {

/// The tensors of transformers whose rows, one behind the other, are our parameter: three for the
/// projection to queries, keys and values, else one. Without the prefix "bert." or "roberta.".
/// Empty for a name that no parameter of an encoder with one of the heads has.
std::vector<std::string> their_names(std::string_view ours, Family family, HeadKind head);

/// Their name in the one spelling that their_names() gives: without "bert." or "roberta.", the
/// `gamma` and `beta` of old files as `weight` and `bias`.
std::string canonical_name(std::string_view theirs);

/// The prefix that the parameters of the body bear in a model with this head; "" for a bare one.
std::string_view body_prefix(Family family, HeadKind head);
/// True for a canonical name of the body: embeddings, encoder, pooler.
bool is_body_name(std::string_view canonical);

}  // namespace filigree
