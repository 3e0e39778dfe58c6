#include "tasks/language/language.h"

#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/language/sentence_builder.h"

namespace filigree {

namespace {

struct Kind {
  std::string_view name;
  std::array<std::string_view, 2> labels;  // ascending, as `prepare` sorts them
  language::Pair (*pair)(RandomStream& random);
  std::string_view with, without;
};

template <size_t place>
language::Pair position_pair(RandomStream& random) {
  return language::position_pair(place, random);
}

// In the order of the enumeration.
const std::array<Kind, 7> kKinds = {{
    {"local", {"fit", "misfit"}, language::local_pair, "neighbour:1|global:cls", "global:cls"},
    {"syntactic",
     {"agree", "disagree"},
     language::syntactic_pair,
     "neighbour:7|global:cls",
     "neighbour:2|global:cls"},
    {"lexical", {"different", "twice"}, language::lexical_pair, "dense", "neighbour:4"},
    {"global", {"blame", "praise"}, language::global_pair, "global:cls", "neighbour:4"},
    {"second", {"blame", "praise"}, position_pair<2>, "neighbour:2", "self"},
    {"fifth", {"blame", "praise"}, position_pair<5>, "neighbour:5", "neighbour:2"},
    {"ninth", {"blame", "praise"}, position_pair<9>, "neighbour:9", "neighbour:4"},
}};

const Kind& kind_of(Labelling labelling) { return kKinds[static_cast<size_t>(labelling)]; }

std::string to_tsv(const std::vector<LanguageSentence>& sentences, Labelling labelling) {
  std::string text = "sentence\tlabel\n";
  for (const LanguageSentence& sentence : sentences) {
    text += fmt::format("{}\t{}\n", sentence.text(),
                        kind_of(labelling).labels[static_cast<size_t>(sentence.label)]);
  }
  return text;
}

}  // namespace

std::string_view name_of(Labelling labelling) { return kind_of(labelling).name; }

Labelling parse_labelling(std::string_view name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i].name == name) return static_cast<Labelling>(i);
    names.emplace_back(kKinds[i].name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError("labelling",
                    fmt::format("expected one of {}, got \"{}\"", fmt::join(names, ", "), name),
                    near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

std::vector<Labelling> all_labellings() {
  std::vector<Labelling> all;
  for (size_t i = 0; i < kKinds.size(); ++i) all.push_back(static_cast<Labelling>(i));
  return all;
}

std::vector<std::string> label_names(Labelling labelling) {
  const auto& labels = kind_of(labelling).labels;
  return {labels.begin(), labels.end()};
}

NeededConnection needed_connection(Labelling labelling) {
  const Kind& kind = kind_of(labelling);
  return {std::string(kind.with), std::string(kind.without)};
}

std::string LanguageSentence::text() const {
  std::string text;
  for (const LanguageWord& word : words) text += (text.empty() ? "" : " ") + word.form;
  return text;
}

std::vector<LanguageSentence> generate_sentences(Labelling labelling, uint64_t seed, int64_t first,
                                                 int64_t count) {
  if (first < 0 || count < 0) {
    throw ConfigError("generate",
                      fmt::format("expected counts of 0 or more, got {} and {}", first, count));
  }
  std::vector<LanguageSentence> sentences;
  for (int64_t pair = first / 2; pair * 2 < first + count; ++pair) {
    RandomStream random(seed, Purpose::generate,
                        {static_cast<uint64_t>(labelling), static_cast<uint64_t>(pair)});
    language::Pair both = kind_of(labelling).pair(random);
    const size_t begin = random.below(2);
    for (size_t k = 0; k < 2; ++k) {
      const int64_t number = 2 * pair + static_cast<int64_t>(k);
      if (number >= first && number < first + count) {
        sentences.push_back(std::move(both[(begin + k) % 2]));
      }
    }
  }
  return sentences;
}

std::string to_conllu(const std::vector<LanguageSentence>& sentences, Labelling labelling,
                      int64_t first) {
  std::string text;
  for (const LanguageSentence& sentence : sentences) {
    text += fmt::format("# sent_id = {}-{}\n# text = {}\n# label = {}\n", name_of(labelling),
                        first++, sentence.text(),
                        kind_of(labelling).labels[static_cast<size_t>(sentence.label)]);
    int number = 0;
    for (const LanguageWord& word : sentence.words) {
      text += fmt::format("{}\t{}\t{}\t{}\t_\t_\t{}\t{}\t_\t_\n", ++number, word.form, word.lemma,
                          word.part, word.head + 1, word.relation);
    }
    text += "\n";
  }
  return text;
}

std::vector<std::filesystem::path> write_language(const LanguageOptions& options,
                                                  const std::filesystem::path& folder) {
  for (const int64_t count : {options.train, options.dev}) {
    if (count > 10'000'000) {
      throw ConfigError("generate",
                        fmt::format("expected at most 10000000 sentences, got {}", count),
                        "they are held in memory; generate several times with other seeds");
    }
    if (count < 2 || count % 2 != 0) {
      throw ConfigError(
          "generate", fmt::format("expected an even number of sentences, 2 or more, got {}", count),
          "sentences come in pairs with different labels");
    }
  }
  make_folders(folder);
  std::vector<std::filesystem::path> paths;
  int64_t first = 0;
  for (const auto& [split, count] : {std::pair("train", options.train), {"dev", options.dev}}) {
    const auto sentences = generate_sentences(options.labelling, options.seed, first, count);
    const std::string name = fmt::format("{}.{}", name_of(options.labelling), split);
    paths.push_back(folder / (name + ".tsv"));
    write_file(paths.back(), to_tsv(sentences, options.labelling));
    paths.push_back(folder / (name + ".conllu"));
    write_file(paths.back(), to_conllu(sentences, options.labelling, first));
    first += count;
  }
  return paths;
}

}  // namespace filigree
