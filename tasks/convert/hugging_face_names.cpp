#include "tasks/convert/hugging_face_names.h"

#include <fmt/format.h>

namespace filigree {

namespace {

/// `text` without `prefix`, if it begins so.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

struct Renamed {
  std::string_view ours, theirs;  // beginnings of names; what follows is "weight" or "bias"
};

constexpr Renamed kEmbeddings[] = {{"token.", "word_embeddings."},
                                   {"position.", "position_embeddings."},
                                   {"segment.", "token_type_embeddings."},
                                   {"norm.", "LayerNorm."}};
constexpr Renamed kLayer[] = {{"attention.output.", "attention.output.dense."},
                              {"attention_norm.", "attention.output.LayerNorm."},
                              {"feed_forward.input.", "intermediate.dense."},
                              {"feed_forward.output.", "output.dense."},
                              {"feed_forward_norm.", "output.LayerNorm."}};
constexpr Renamed kBertHead[] = {{"masked_lm.transform.", "cls.predictions.transform.dense."},
                                 {"masked_lm.norm.", "cls.predictions.transform.LayerNorm."},
                                 {"masked_lm.bias", "cls.predictions.bias"}};
constexpr Renamed kRobertaHead[] = {{"masked_lm.transform.", "lm_head.dense."},
                                    {"masked_lm.norm.", "lm_head.layer_norm."},
                                    {"masked_lm.bias", "lm_head.bias"}};

/// The name with its beginning replaced by the first entry that fits; "" if none does.
template <size_t N>
std::string renamed(std::string_view name, const Renamed (&table)[N]) {
  for (const Renamed& entry : table) {
    std::string_view rest = name;
    if (take_prefix(rest, entry.ours)) return fmt::format("{}{}", entry.theirs, rest);
  }
  return "";
}

std::vector<std::string> names_in_layer(std::string_view rest) {
  const size_t dot = rest.find('.');
  if (dot == std::string_view::npos) return {};
  const std::string layer = fmt::format("encoder.layer.{}.", rest.substr(0, dot));
  rest.remove_prefix(dot + 1);
  if (take_prefix(rest, "attention.query_key_value.")) {
    std::vector<std::string> three;
    for (const char* part : {"query", "key", "value"}) {
      three.push_back(fmt::format("{}attention.self.{}.{}", layer, part, rest));
    }
    return three;
  }
  const std::string name = renamed(rest, kLayer);
  return name.empty() ? std::vector<std::string>{} : std::vector<std::string>{layer + name};
}

/// Of the heads on pooled or single tokens; "" for another name.
std::string name_in_head(std::string_view ours, Family family, HeadKind head) {
  const bool roberta_classifier = family == Family::roberta && head == HeadKind::classification;
  std::string_view rest = ours;
  if (take_prefix(rest, "pooler.")) {
    return fmt::format("{}.dense.{}", roberta_classifier ? "classifier" : "pooler", rest);
  }
  if (take_prefix(rest, "classifier.")) {
    if (head == HeadKind::span) return fmt::format("qa_outputs.{}", rest);
    return fmt::format("classifier.{}{}", roberta_classifier ? "out_proj." : "", rest);
  }
  return family == Family::bert ? renamed(ours, kBertHead) : renamed(ours, kRobertaHead);
}

}  // namespace

std::vector<std::string> their_names(std::string_view ours, Family family, HeadKind head) {
  std::string_view rest = ours;
  if (take_prefix(rest, "encoder.layers.")) return names_in_layer(rest);
  std::string name;
  if (take_prefix(rest, "encoder.embeddings.")) {
    name = renamed(rest, kEmbeddings);
    if (!name.empty()) name = "embeddings." + name;
  } else {
    name = name_in_head(ours, family, head);
  }
  return name.empty() ? std::vector<std::string>{} : std::vector<std::string>{name};
}

std::string canonical_name(std::string_view theirs) {
  std::string_view rest = theirs;
  if (!take_prefix(rest, "bert.")) take_prefix(rest, "roberta.");
  std::string name(rest);
  for (const auto& [old, now] : {Renamed{".gamma", ".weight"}, Renamed{".beta", ".bias"}}) {
    if (name.ends_with(old)) name.replace(name.size() - old.size(), old.size(), now);
  }
  return name;
}

std::string_view body_prefix(Family family, HeadKind head) {
  if (head == HeadKind::none) return "";
  return family == Family::bert ? "bert." : "roberta.";
}

bool is_body_name(std::string_view canonical) {
  return canonical.starts_with("embeddings.") || canonical.starts_with("encoder.") ||
         canonical.starts_with("pooler.");
}

}  // namespace filigree
