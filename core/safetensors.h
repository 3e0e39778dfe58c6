// Safetensors: the one container for weights, optimizer state, tokenized datasets and fixtures.
//
// Layout (https://github.com/huggingface/safetensors): 8 bytes little-endian header length, a JSON
// header {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {string: string}}, then data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/scratch_file.h"
#include "core/tensor.h"

namespace filigree {

class MappedFile;

/// One array of a file, still in the file. dtype is the format's name: "F32", "I64", "U16" ...
struct SafetensorsEntry {
  std::string dtype;
  Shape shape;
  std::span<const uint8_t> bytes;
};

/// What to make of a file without a checksum: one of another program, or one of ours cut about.
enum class Unsealed { accept, refuse };

/// A safetensors file, memory-mapped. Opening checks everything that reading relies on: header
/// length, JSON, names, offsets within the file and without gaps or overlaps, sizes that fit dtype
/// and shape; a wrong one is a CheckpointError that names the file and the fault.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::map<std::string, SafetensorsEntry>& entries() const { return entries_; }
  bool contains(std::string_view name) const;
  /// Throws CheckpointError that names the file and the nearest name.
  const SafetensorsEntry& entry(std::string_view name) const;
  /// The array as a tensor on the mapped memory, without a copy; writing to it changes this
  /// process's pages only. dtype F32, F64, BF16, I32, I64,
  /// U8.
  Tensor tensor(std::string_view name) const;
  /// The array's elements in place, T one of uint16_t, uint32_t and the tensor types; throws
  /// CheckpointError if the dtype differs.
  template <class T>
  std::span<const T> array(std::string_view name) const;
  /// The stored checksum of everything in the file; "" if there is none.
  std::string stored_checksum() const;
  /// Bytes of all arrays.
  size_t data_bytes() const { return data_.size(); }
  /// Takes the file's pages out of memory, see forget_pages().
  void forget() const;
  /// Compares the stored checksum ("xxh3" in the metadata: XXH3 over the header without it, and all
  /// data bytes) with the file; throws CheckpointError if they differ, or if there is none and
  /// `unsealed` refuses that. Returns the checksum of what is in the file, stored or not. Cost:
  /// reads the whole file, of which nothing stays in memory.
  std::string verify_checksum(Unsealed unsealed = Unsealed::refuse) const;

 private:
  std::shared_ptr<const MappedFile> file_;
  size_t header_size_ = 0;
  std::span<const uint8_t> data_;  // all data bytes, behind the header
  std::map<std::string, std::string> metadata_;
  std::map<std::string, SafetensorsEntry> entries_;
};

/// Collects arrays and writes them in one atomic, checksummed file. The same content gives the
/// same bytes.
class SafetensorsWriter {
 public:
  void metadata(const std::string& key, const std::string& value);
  /// Keeps a reference to the tensor (CPU or device; copied to the host on save).
  void add(const std::string& name, const Tensor& tensor);
  /// Keeps a reference to the span's memory, which must live until save(). T as in array().
  template <class T>
  void add_array(const std::string& name, std::span<const T> values, const Shape& shape);
  /// An array that is not in memory: `stream` must give the bytes of `shape` elements, and is read
  /// twice by save().
  template <class T>
  void add_stream(const std::string& name, const Shape& shape, ByteStream stream);
  /// Throws FileError; the old file of that name then still stands. Arrays stand widest element
  /// first, so that all are aligned.
  void save(const std::filesystem::path& path) const;

 private:
  struct Item {
    std::string dtype;
    Shape shape;
    std::span<const uint8_t> bytes;
    Tensor owner;
    ByteStream stream;  // in the place of bytes
    uint64_t size() const;
    void feed(const std::string& name, const ByteSink& sink) const;
  };
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Item> items_;
};

}  // namespace filigree
