// JSON lines: one object a line.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tasks/readers/lines.h"

namespace filigree {

namespace {

class JsonlReader final : public RecordReader {
 public:
  JsonlReader(const std::filesystem::path& path, std::vector<std::string> wanted,
              const ReaderOptions& options)
      : lines_(path, options.max_line_bytes), wanted_(std::move(wanted)) {}

  std::optional<Record> next() override {
    std::string_view line;
    do {
      if (!lines_.next(line)) return std::nullopt;
    } while (is_blank(line));
    const nlohmann::json object = parse(line);
    Record record;
    record.line = lines_.number();
    for (const std::string& name : wanted_) {
      const auto found = object.find(name);
      if (found == object.end()) {
        std::vector<std::string> names;
        for (const auto& item : object.items()) names.push_back(item.key());
        throw_absent_column(lines_.where(), name, names);
      }
      record.values.push_back(to_text(name, *found));
    }
    return record;
  }

 private:
  nlohmann::json parse(std::string_view line) const {
    nlohmann::json value;
    try {
      value = nlohmann::json::parse(line.begin(), line.end());
    } catch (const nlohmann::json::parse_error& error) {
      throw DataError(lines_.where(),
                      fmt::format("not JSON: wrong at byte {} of {}", error.byte, excerpt(line)),
                      "every line must be one JSON object");
    } catch (const nlohmann::json::exception& error) {
      throw DataError(lines_.where(), fmt::format("not JSON that can be read: {}", error.what()));
    }
    if (!value.is_object()) {
      throw DataError(
          lines_.where(),
          fmt::format("expected a JSON object, got {}: {}", value.type_name(), excerpt(line)),
          "every line must be one JSON object");
    }
    return value;
  }

  std::string to_text(const std::string& name, const nlohmann::json& value) const {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_number() || value.is_boolean()) return value.dump();
    throw DataError(lines_.where(), fmt::format("column {}: expected a string or number, got {}",
                                                excerpt(name), value.type_name()));
  }

  LineReader lines_;
  std::vector<std::string> wanted_;
};

}  // namespace

std::unique_ptr<RecordReader> open_jsonl(const std::filesystem::path& path,
                                         const std::vector<std::string>& wanted,
                                         const ReaderOptions& options) {
  return std::make_unique<JsonlReader>(path, wanted, options);
}

}  // namespace filigree
