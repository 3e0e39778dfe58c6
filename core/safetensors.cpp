#include "core/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "core/error.h"
#include "core/file.h"

namespace filigree {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeader = 100u << 20;  // as the reference implementation
constexpr const char* kChecksumKey = "xxh3";

int64_t element_size(std::string_view dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  return 0;
}

std::string format_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::bf16:
      return "BF16";
    case DType::i32:
      return "I32";
    case DType::i64:
      return "I64";
    case DType::u8:
      return "U8";
  }
  return {};
}

template <class T>
std::string format_name_of() {
  if constexpr (std::is_same_v<T, uint16_t>) {
    return "U16";
  } else if constexpr (std::is_same_v<T, uint32_t>) {
    return "U32";
  } else {
    return format_name(dtype_of<T>);
  }
}

/// The one text of a header: names sorted, no blanks.
std::string to_text(const Json& header) {
  return header.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// XXH3 over several pieces.
class Seal {
 public:
  Seal() : state_(XXH3_createState(), XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  void add(std::string_view text) { XXH3_64bits_update(state_.get(), text.data(), text.size()); }
  void add(std::span<const uint8_t> bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  std::string hex() const { return to_hex(XXH3_64bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

[[noreturn]] void throw_damaged(const std::filesystem::path& path, std::string_view fault) {
  throw CheckpointError(path.string(), fmt::format("is not a sound safetensors file: {}", fault),
                        "the file is damaged, cut short, or of another kind; take another copy");
}

/// Reads one header entry; `size` is the number of data bytes in the file.
SafetensorsEntry read_entry(const std::filesystem::path& path, const std::string& name,
                            const Json& json, std::span<const uint8_t> data) {
  const auto fail = [&](std::string_view why) {
    throw_damaged(path, fmt::format("entry \"{}\": {}", name, why));
  };
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() ||
      !json.contains("shape") || !json["shape"].is_array() || !json.contains("data_offsets") ||
      !json["data_offsets"].is_array() || json["data_offsets"].size() != 2) {
    fail("lacks dtype, shape or data_offsets");
  }
  SafetensorsEntry entry;
  entry.dtype = json["dtype"].get<std::string>();
  if (element_size(entry.dtype) == 0) fail("unknown dtype " + entry.dtype);
  for (const Json& size : json["shape"]) {
    if (!size.is_number_unsigned()) fail("a size is not a whole number");
    const auto value = size.get<uint64_t>();
    if (value > INT64_MAX) fail("a size is too large");
    entry.shape.append(static_cast<int64_t>(value));
  }
  for (const Json& offset : json["data_offsets"]) {
    if (!offset.is_number_unsigned()) fail("an offset is not a whole number");
  }
  const auto first = json["data_offsets"][0].get<uint64_t>();
  const auto last = json["data_offsets"][1].get<uint64_t>();
  if (first > last || last > data.size()) {
    fail(fmt::format("bytes {} to {} of {}", first, last, data.size()));
  }
  int64_t wanted = 0;
  if (__builtin_mul_overflow(entry.shape.numel(), element_size(entry.dtype), &wanted) ||
      static_cast<uint64_t>(wanted) != last - first) {
    fail("size does not fit dtype and shape");
  }
  entry.bytes = data.subspan(first, last - first);
  return entry;
}

/// Data must be covered by the entries exactly once.
void check_coverage(const std::filesystem::path& path,
                    const std::map<std::string, SafetensorsEntry>& entries,
                    std::span<const uint8_t> data) {
  std::vector<std::span<const uint8_t>> spans;
  for (const auto& [name, entry] : entries) {
    if (!entry.bytes.empty()) spans.push_back(entry.bytes);
  }
  std::sort(spans.begin(), spans.end(), [](auto a, auto b) { return a.data() < b.data(); });
  const uint8_t* next = data.data();
  for (const auto& span : spans) {
    if (span.data() != next) throw_damaged(path, "entries overlap or leave a gap");
    next = span.data() + span.size();
  }
  if (next != data.data() + data.size()) {
    throw_damaged(
        path, fmt::format("{} bytes of data belong to no entry", data.data() + data.size() - next));
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_shared<MappedFile>(path)) {
  const auto bytes = file_->bytes();
  uint64_t header_size = 0;
  if (bytes.size() < sizeof header_size) throw_damaged(path, "shorter than its header");
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  if (header_size > kMaxHeader || (bytes.size() > sizeof header_size && bytes[8] != '{')) {
    throw CheckpointError(path.string(), "is no safetensors file: it begins otherwise",
                          "give a file that Filigree wrote; of text `filigree prepare` makes one");
  }
  if (header_size > bytes.size() - sizeof header_size) {
    throw_damaged(path,
                  fmt::format("header of {} bytes in a file of {}", header_size, bytes.size()));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header_size;
  const Json header = Json::parse(text, text + header_size, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) throw_damaged(path, "its header is not JSON");
  header_size_ = header_size;
  data_ = bytes.subspan(sizeof header_size + header_size);
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) throw_damaged(path, "its metadata is not an object");
      for (const auto& [key, entry] : value.items()) {
        if (!entry.is_string()) throw_damaged(path, "metadata \"" + key + "\" is not a string");
        metadata_[key] = entry.get<std::string>();
      }
    } else {
      try {
        entries_[name] = read_entry(path, name, value, data_);
      } catch (const ShapeError& error) {
        throw_damaged(path, fmt::format("entry \"{}\": {}", name, error.what()));
      }
    }
  }
  check_coverage(path, entries_, data_);
}

const std::filesystem::path& SafetensorsFile::path() const { return file_->path(); }

bool SafetensorsFile::contains(std::string_view name) const {
  return entries_.count(std::string(name)) > 0;
}

const SafetensorsEntry& SafetensorsFile::entry(std::string_view name) const {
  const auto found = entries_.find(std::string(name));
  if (found != entries_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries_) names.push_back(known);
  const std::string nearest = nearest_name(name, names);
  throw CheckpointError(path().string(), fmt::format("has no array \"{}\"", name),
                        nearest.empty() ? "" : fmt::format("the nearest name is \"{}\"", nearest));
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const SafetensorsEntry& found = entry(name);
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::i32, DType::i64, DType::u8}) {
    if (format_name(dtype) != found.dtype) continue;
    const auto address = reinterpret_cast<uintptr_t>(found.bytes.data());
    if (address % static_cast<uintptr_t>(size_of(dtype)) == 0) {
      return Tensor::borrow(found.bytes.data(), found.shape, dtype, file_);
    }
    Tensor copy(found.shape, dtype);  // a foreign file may leave its data unaligned
    if (!found.bytes.empty()) std::memcpy(copy.raw(), found.bytes.data(), found.bytes.size());
    return copy;
  }
  throw CheckpointError(
      path().string(),
      fmt::format("array \"{}\" has dtype {}, which is not a tensor dtype", name, found.dtype));
}

template <class T>
std::span<const T> SafetensorsFile::array(std::string_view name) const {
  const SafetensorsEntry& found = entry(name);
  const std::string wanted = format_name_of<T>();
  if (found.dtype != wanted) {
    throw CheckpointError(path().string(), fmt::format("array \"{}\" has dtype {}, expected {}",
                                                       name, found.dtype, wanted));
  }
  if (reinterpret_cast<uintptr_t>(found.bytes.data()) % alignof(T) != 0) {
    throw CheckpointError(path().string(), fmt::format("array \"{}\" is not aligned", name),
                          "pad the header with blanks to a multiple of 8 bytes, and write the "
                          "arrays with the widest elements first");
  }
  return {reinterpret_cast<const T*>(found.bytes.data()), found.bytes.size() / sizeof(T)};
}

std::string SafetensorsFile::stored_checksum() const {
  const auto found = metadata_.find(kChecksumKey);
  return found == metadata_.end() ? "" : found->second;
}

void SafetensorsFile::forget() const { forget_pages(file_->bytes()); }

std::string SafetensorsFile::verify_checksum(Unsealed unsealed) const {
  const auto found = metadata_.find(kChecksumKey);
  if (found == metadata_.end() && unsealed == Unsealed::refuse) {
    throw_damaged(path(), fmt::format("its metadata lack the checksum \"{}\"", kChecksumKey));
  }
  Json header = Json::parse(data_.data() - header_size_, data_.data());
  if (found != metadata_.end()) header["__metadata__"].erase(kChecksumKey);
  Seal seal;
  seal.add(to_text(header));
  constexpr size_t kBlock = size_t{16} << 20;
  for (auto rest = data_; !rest.empty(); rest = rest.subspan(std::min(kBlock, rest.size()))) {
    const auto block = rest.first(std::min(kBlock, rest.size()));
    seal.add(block);
    if (data_.size() > kBlock) forget_pages(block);
  }
  const std::string actual = seal.hex();
  if (found != metadata_.end() && actual != found->second) {
    throw_damaged(path(), fmt::format("checksum {}, expected {}", actual, found->second));
  }
  return actual;
}

void SafetensorsWriter::metadata(const std::string& key, const std::string& value) {
  metadata_[key] = value;
}

void SafetensorsWriter::add(const std::string& name, const Tensor& tensor) {
  expect_defined("safetensors", name, tensor);
  Tensor host = tensor.to(kCpu);
  const std::span<const uint8_t> bytes{static_cast<const uint8_t*>(host.raw()),
                                       static_cast<size_t>(host.bytes())};
  items_[name] = {format_name(host.dtype()), host.shape(), bytes, host, {}};
}

template <class T>
void SafetensorsWriter::add_array(const std::string& name, std::span<const T> values,
                                  const Shape& shape) {
  if (static_cast<int64_t>(values.size()) != shape.numel()) {
    throw ShapeError("safetensors", fmt::format("array \"{}\": {} values for shape {}", name,
                                                values.size(), to_string(shape)));
  }
  items_[name] = {format_name_of<T>(),
                  shape,
                  {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()},
                  {},
                  {}};
}

template <class T>
void SafetensorsWriter::add_stream(const std::string& name, const Shape& shape, ByteStream stream) {
  items_[name] = {format_name_of<T>(), shape, {}, {}, std::move(stream)};
}

uint64_t SafetensorsWriter::Item::size() const {
  if (!stream) return bytes.size();
  return static_cast<uint64_t>(shape.numel() * element_size(dtype));
}

void SafetensorsWriter::Item::feed(const std::string& name, const ByteSink& sink) const {
  if (!stream) {
    sink(bytes);
    return;
  }
  uint64_t given = 0;
  stream([&](std::span<const uint8_t> part) {
    given += part.size();
    sink(part);
  });
  if (given == size()) return;
  throw ShapeError("safetensors", fmt::format("array \"{}\": {} bytes for shape {} of {}", name,
                                              given, to_string(shape), dtype));
}

void SafetensorsWriter::save(const std::filesystem::path& path) const {
  // Widest elements first, then by name: every array stays aligned without gaps.
  std::vector<const std::pair<const std::string, Item>*> order;
  for (const auto& item : items_) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return element_size(a->second.dtype) > element_size(b->second.dtype);
  });
  Json header = Json::object();
  header["__metadata__"] = metadata_;
  uint64_t offset = 0;
  for (const auto* item : order) {
    const Item& value = item->second;
    header[item->first] = {{"dtype", value.dtype},
                           {"shape", std::vector<int64_t>(value.shape.begin(), value.shape.end())},
                           {"data_offsets", {offset, offset + value.size()}}};
    offset += value.size();
  }
  Seal seal;
  seal.add(to_text(header));
  for (const auto* item : order) {
    item->second.feed(item->first, [&](std::span<const uint8_t> part) { seal.add(part); });
  }
  header["__metadata__"][kChecksumKey] = seal.hex();
  std::string text = to_text(header);
  text.append((64 - (text.size() + 8) % 64) % 64, ' ');

  AtomicFile file(path);
  const uint64_t size = text.size();
  file.write(&size, sizeof size);
  file.write(text);
  for (const auto* item : order) {
    item->second.feed(item->first,
                      [&](std::span<const uint8_t> part) { file.write(part.data(), part.size()); });
  }
  file.commit();
}

#define FILIGREE_INSTANTIATE(T)                                                         \
  template std::span<const T> SafetensorsFile::array<T>(std::string_view) const;        \
  template void SafetensorsWriter::add_array<T>(const std::string&, std::span<const T>, \
                                                const Shape&);                          \
  template void SafetensorsWriter::add_stream<T>(const std::string&, const Shape&, ByteStream);
FILIGREE_INSTANTIATE(float)
FILIGREE_INSTANTIATE(double)
FILIGREE_INSTANTIATE(int32_t)
FILIGREE_INSTANTIATE(int64_t)
FILIGREE_INSTANTIATE(uint8_t)
FILIGREE_INSTANTIATE(uint16_t)
FILIGREE_INSTANTIATE(uint32_t)
#undef FILIGREE_INSTANTIATE

}  // namespace filigree
