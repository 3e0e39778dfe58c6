#include "tasks/syntax/parse_cache.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"

namespace filigree {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormat = "filigree-parses";
constexpr std::string_view kVersion = "1";

constexpr std::string_view kPrefix = "part-", kSuffix = ".safetensors";

/// True for names that write() gives, with the checksums in the middle: other files in the folder
/// are the user's.
bool is_part(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr size_t kDigits = 32;
  return name.size() == kPrefix.size() + kDigits + kSuffix.size() && name.starts_with(kPrefix) &&
         name.ends_with(kSuffix) &&
         name.find_first_not_of("0123456789abcdef", kPrefix.size()) == kPrefix.size() + kDigits;
}

[[noreturn]] void throw_folder(const fs::path& folder, const std::error_code& error) {
  throw FileError(folder.string(), fmt::format("no folder for parses: {}", error.message()),
                  "name one that can be written (--parse-cache)");
}

/// Element i of a list with offsets. Throws CheckpointError if they leave the list.
template <class T>
std::span<const T> item(const fs::path& path, std::span<const T> all,
                        std::span<const int64_t> offsets, size_t i) {
  const int64_t begin = offsets[i], end = offsets[i + 1];
  if (begin < 0 || end < begin || end > static_cast<int64_t>(all.size())) {
    throw CheckpointError(path.string(), "offsets leave the file");
  }
  return all.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

}  // namespace

ParseCache::ParseCache(fs::path folder, std::string parser)
    : folder_(std::move(folder)), parser_(std::move(parser)) {
  if (folder_.empty()) return;
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    if (is_part(entry->path()) && entry->is_regular_file(error)) found.push_back(entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) throw_folder(folder_, error);
  std::sort(found.begin(), found.end());
  for (const fs::path& path : found) {
    try {
      read(path);
    } catch (const CheckpointError& fault) {
      damaged_.push_back(path);
      notes_.push_back(
          fmt::format("a damaged file of parses is passed over, its sentences are parsed again: {}",
                      fault.what()));
    } catch (const FileError&) {
      if (fs::exists(path)) throw;  // otherwise another process has tidied up
    }
  }
}

void ParseCache::read(const fs::path& path) {
  const SafetensorsFile file(path);
  const auto& metadata = file.metadata();
  const auto says = [&](const std::string& key, std::string_view value) {
    const auto found = metadata.find(key);
    return found != metadata.end() && found->second == value;
  };
  const bool ours = says("format", kFormat);
  file.verify_checksum(ours ? Unsealed::refuse : Unsealed::accept);
  if (!ours || !says("format_version", kVersion) || !says("parser", parser_)) return;
  const auto texts = file.array<uint8_t>("texts");
  const auto records = file.array<int32_t>("records");
  const auto text_offsets = file.array<int64_t>("text_offsets");
  const auto record_offsets = file.array<int64_t>("record_offsets");
  if (text_offsets.empty() || text_offsets.size() != record_offsets.size()) {
    throw CheckpointError(path.string(), "as many parses as texts are needed");
  }
  Entries entries;
  for (size_t i = 0; i + 1 < text_offsets.size(); ++i) {
    const auto text = item(path, texts, text_offsets, i);
    const auto record = item(path, records, record_offsets, i);
    Linkage linkage;
    if (!unpack(record, static_cast<int64_t>(text.size()), linkage)) {
      throw CheckpointError(path.string(), fmt::format("parse {} is malformed", i));
    }
    entries.emplace(std::string(text.begin(), text.end()),
                    std::vector<int32_t>(record.begin(), record.end()));
  }
  parts_.push_back(path);
  for (auto& [text, record] : entries) {
    // Of two parses of one sentence the one with the larger limit stays: it cannot be worse.
    const auto [place, is_new] = entries_.try_emplace(text, record);
    if (!is_new && place->second[1] < record[1]) place->second = std::move(record);
  }
}

bool ParseCache::find(const std::string& sentence, int32_t limit_ms, Linkage& linkage) const {
  const auto found = entries_.find(sentence);
  if (found == entries_.end() ||
      !unpack(found->second, static_cast<int64_t>(sentence.size()), linkage)) {
    return false;
  }
  return linkage.outcome != ParseOutcome::timed_out || linkage.limit_ms >= limit_ms;
}

void ParseCache::make_folder() const {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw_folder(folder_, error);
}

void ParseCache::add(const std::string& sentence, const Linkage& linkage) {
  entries_[sentence] = fresh_[sentence] = pack(linkage);
}

fs::path ParseCache::write(const Entries& entries) const {
  std::string texts;
  std::vector<int32_t> records;
  std::vector<int64_t> text_offsets{0}, record_offsets{0};
  for (const auto& [text, record] : entries) {
    texts += text;
    records.insert(records.end(), record.begin(), record.end());
    text_offsets.push_back(static_cast<int64_t>(texts.size()));
    record_offsets.push_back(static_cast<int64_t>(records.size()));
  }
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(texts.data()),
                                       texts.size());
  const auto count = static_cast<int64_t>(text_offsets.size());
  SafetensorsWriter writer;
  writer.metadata("format", std::string(kFormat));
  writer.metadata("format_version", std::string(kVersion));
  writer.metadata("parser", parser_);
  writer.add_array<uint8_t>("texts", bytes, {static_cast<int64_t>(texts.size())});
  writer.add_array<int64_t>("text_offsets", text_offsets, {count});
  writer.add_array<int32_t>("records", records, {static_cast<int64_t>(records.size())});
  writer.add_array<int64_t>("record_offsets", record_offsets, {count});
  // Named by its content, so that several processes never write different files of one name.
  const std::span<const uint8_t> numbers(reinterpret_cast<const uint8_t*>(records.data()),
                                         records.size() * sizeof(int32_t));
  const std::string name =
      fmt::format("{}{}{}{}", kPrefix, to_hex(checksum(texts) ^ checksum(parser_)),
                  to_hex(checksum(numbers)), kSuffix);
  make_folder();
  writer.save(folder_ / name);
  return folder_ / name;
}

void ParseCache::save() {
  if (folder_.empty()) fresh_.clear();
  if (fresh_.empty()) return;
  parts_.push_back(write(fresh_));
  fresh_.clear();
}

void ParseCache::tidy() {
  save();
  std::error_code ignored;
  if (parts_.size() > 1) {
    const fs::path whole = write(entries_);
    for (const fs::path& part : parts_) {
      if (part != whole) fs::remove(part, ignored);
    }
    parts_ = {whole};
  }
  for (const fs::path& path : damaged_) {
    // A file is named by its content: the new one may have taken the damaged one's place.
    if (std::find(parts_.begin(), parts_.end(), path) == parts_.end()) fs::remove(path, ignored);
  }
  damaged_.clear();
}

}  // namespace filigree
