// Special pieces of published vocabularies.
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "tasks/tokenizer/model.h"

namespace filigree {

namespace {

/// What BERT, XLNet and ALBERT, RoBERTa and T5 call them, in the order of kSpecialTokens. XLNet has
/// both <cls> and <s>, so that <s> comes last.
constexpr std::array<std::array<std::string_view, 3>, Tokenizer::kSpecials> kNames{
    {{"[PAD]", "<pad>", ""},
     {"[UNK]", "<unk>", ""},
     {"[CLS]", "<cls>", "<s>"},
     {"[SEP]", "<sep>", "</s>"},
     {"[MASK]", "<mask>", ""}}};

}  // namespace

std::vector<std::optional<int32_t>> find_specials(
    const std::function<std::optional<int32_t>(std::string_view)>& find) {
  std::vector<std::optional<int32_t>> found(kNames.size());
  for (size_t i = 0; i < kNames.size(); ++i) {
    for (const std::string_view name : kNames[i]) {
      if (!found[i] && !name.empty()) found[i] = find(name);
    }
  }
  return found;
}

SpecialIds require_specials(std::string_view where,
                            const std::function<std::optional<int32_t>(std::string_view)>& find) {
  std::vector<std::string_view> missing;
  std::vector<int32_t> ids;
  const auto found = find_specials(find);
  for (size_t i = 0; i < found.size(); ++i) {
    ids.push_back(found[i].value_or(-1));
    if (!found[i]) missing.push_back(kSpecialTokens[i]);
  }
  if (!missing.empty()) {
    throw DataError(
        where, fmt::format("the vocabulary lacks the special pieces {}", fmt::join(missing, ", ")),
        "give the whole vocabulary of the model; [CLS], <cls> and <s> are one, and so "
        "are [SEP], <sep> and </s>");
  }
  return special_ids(ids);
}

SpecialIds special_ids(std::span<const int32_t> ids) {
  return {ids[0], ids[1], ids[2], ids[3], ids[4]};
}

}  // namespace filigree
