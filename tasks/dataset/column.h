// Column: the numbers of one array of a dataset that is being written. Private to tasks/dataset.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "core/scratch_file.h"

namespace filigree {

/// Grows at its end. At most kMostInMemory numbers are in memory; those before them are in a
/// ScratchFile in `folder`, if one is given.
template <class T>
class Column {
 public:
  static constexpr size_t kMostInMemory = size_t{1} << 20;

  explicit Column(std::filesystem::path folder) : folder_(std::move(folder)) {}

  template <class U>
  void append(std::span<const U> values) {
    for (const U value : values) latest_.push_back(static_cast<T>(value));
    size_ += std::ssize(values);
    if (latest_.size() < kMostInMemory || folder_.empty()) return;
    if (!file_) file_ = std::make_unique<ScratchFile>(folder_);
    file_->append(bytes());
    latest_.clear();
  }
  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  /// The writer refers to the column until it has saved.
  void add_to(SafetensorsWriter& writer, const std::string& name, const Shape& shape) const {
    writer.add_stream<T>(name, shape, [this](const ByteSink& sink) {
      if (file_) file_->read(sink);
      sink(bytes());
    });
  }
  void add_to(SafetensorsWriter& writer, const std::string& name) const {
    add_to(writer, name, {size_});
  }

 private:
  std::span<const uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t*>(latest_.data()), latest_.size() * sizeof(T)};
  }

  std::filesystem::path folder_;
  std::unique_ptr<ScratchFile> file_;
  std::vector<T> latest_;
  int64_t size_ = 0;
};

}  // namespace filigree
