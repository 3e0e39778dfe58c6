#include "tasks/convert/folders.h"

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/convert/new_folder.h"
#include "tasks/convert/tokenizer_files.h"

namespace filigree {

namespace fs = std::filesystem;

bool is_hugging_face(const fs::path& path) { return fs::exists(path / "config.json"); }

ConversionReport convert_from_hugging_face(const fs::path& in, const fs::path& out,
                                           const ImportOptions& options) {
  NewFolder folder(out);
  ImportedModel model = import_hugging_face(in, options);
  import_tokenizer(in, model.type, folder, model.info, model.report);
  save_model(folder / "model.safetensors", model.info, model.weights);
  folder.commit();
  return std::move(model.report);
}

ConversionReport convert_to_hugging_face(const fs::path& in, const fs::path& out,
                                         const ExportOptions& options) {
  NewFolder folder(out);
  if (!fs::exists(in)) {
    throw FileError(in.string(), "there is no such file or folder",
                    "give a folder of transformers, or a run or a model file of Filigree");
  }
  const fs::path path = find_model(in);
  ModelInfo info = read_model_info(path);
  SafetensorsFile(path).verify_checksum();
  ModelTensors tensors = read_model_tensors(path);
  info.vectors = std::move(tensors.vectors);
  const std::optional<Tokenizer> found = tokenizer_beside(path, info);
  const Tokenizer* tokenizer = found ? &*found : nullptr;
  const std::string type = options.type.empty() ? type_for(info, tokenizer) : options.type;
  ConversionReport report = export_hugging_face(info, tensors.weights, {.type = type}, folder / "");
  export_tokenizer(path, tokenizer, info, type, folder, report);
  folder.commit();
  return report;
}

}  // namespace filigree
