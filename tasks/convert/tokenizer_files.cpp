#include "tasks/convert/tokenizer_files.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

/// What tokenizers of transformers keep in a folder.
constexpr const char* kFiles[] = {"vocab.txt",
                                  "vocab.json",
                                  "merges.txt",
                                  "sentencepiece.bpe.model",
                                  "spiece.model",
                                  "tokenizer.json",
                                  "added_tokens.json",
                                  "tokenizer_config.json",
                                  "special_tokens_map.json"};

/// Copies those that are there; how many.
int copy_files(const fs::path& from, const NewFolder& to) {
  int copied = 0;
  for (const char* name : kFiles) {
    if (!fs::exists(from / name)) continue;
    write_file(to / name, read_file(from / name));
    ++copied;
  }
  return copied;
}

}  // namespace

void import_tokenizer(const fs::path& in, const std::string&, const NewFolder& out, ModelInfo&,
                      ConversionReport& report) {
  if (copy_files(in, out) == 0) report.notes.push_back("the folder holds no tokenizer");
}

void export_tokenizer(const fs::path& model, const ModelInfo&, const NewFolder& out,
                      ConversionReport& report) {
  if (copy_files(model.parent_path(), out) == 0) {
    report.notes.push_back("no tokenizer file of transformers stands beside the model");
  }
}

}  // namespace filigree
