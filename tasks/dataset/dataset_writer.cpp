#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/format.h"

namespace filigree {

namespace {

template <class T>
Shape shape_of(const std::vector<T>& values) {
  return {static_cast<int64_t>(values.size())};
}

}  // namespace

DatasetWriter::DatasetWriter(DatasetInfo info) : info_(std::move(info)) {
  if (info_.vocabulary < 1 || info_.tokenizer_hash.empty()) {
    throw DataError("dataset", "a dataset needs the vocabulary and hash of its tokenizer");
  }
}

void DatasetWriter::add(std::span<const int32_t> ids, std::span<const int32_t> words,
                        std::span<const uint8_t> segments, std::span<const int32_t> heads,
                        const Target& target, std::span<const int32_t> classes,
                        std::span<const int32_t> links) {
  const auto fail = [&](std::string_view what) {
    throw DataError("dataset", fmt::format("sample {}: {}", size(), what));
  };
  const size_t length = ids.size();
  if (length == 0) fail("no tokens");
  if (words.size() != length) fail("as many words as ids are needed");
  if (!segments.empty() && segments.size() != length) fail("as many segments as ids are needed");
  if (!heads.empty() && heads.size() != length) fail("as many heads as ids are needed");
  if (!classes.empty() && classes.size() != length) fail("as many classes as ids are needed");
  if (size() > 0 && (segments.empty() != segments_.empty() || heads.empty() != heads_.empty() ||
                     classes.empty() != classes_.empty())) {
    fail("segments, heads and classes must be there for all samples or for none");
  }
  expect_target(target, length);
  for (const int32_t id : ids) {
    if (id < 0 || id >= info_.vocabulary) {
      fail(fmt::format("expected an id from 0 to {}, got {}", info_.vocabulary - 1, id));
    }
  }
  if (!links.empty() && heads.empty()) fail("links need heads");
  if (const std::string fault = link_fault(links, words); !fault.empty()) fail(fault);
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  words_.insert(words_.end(), words.begin(), words.end());
  segments_.insert(segments_.end(), segments.begin(), segments.end());
  heads_.insert(heads_.end(), heads.begin(), heads.end());
  classes_.insert(classes_.end(), classes.begin(), classes.end());
  offsets_.push_back(tokens());
  links_.insert(links_.end(), links.begin(), links.end());
  link_offsets_.push_back(static_cast<int64_t>(links_.size() / 2));
  labels_.push_back(target.label);
  if (target.score) scores_.push_back(*target.score);
  token_labels_.insert(token_labels_.end(), target.token_labels.begin(), target.token_labels.end());
}

void DatasetWriter::expect_target(const Target& target, size_t length) const {
  const auto fail = [&](std::string_view what) {
    throw DataError("dataset", fmt::format("sample {}: {}", size(), what));
  };
  if (!target.token_labels.empty() && target.token_labels.size() != length) {
    fail("as many token labels as ids are needed");
  }
  if (size() > 0 &&
      ((target.label < 0) != (labels_.front() < 0) || target.score.has_value() == scores_.empty() ||
       target.token_labels.empty() != token_labels_.empty())) {
    fail("labels, scores and token labels must be there for all samples or for none");
  }
  if (target.label < -1) fail(fmt::format("expected a label from -1, got {}", target.label));
  for (const int32_t label : target.token_labels) {
    if (label < -1) fail(fmt::format("expected a token label from -1, got {}", label));
  }
  if (target.score && !std::isfinite(*target.score)) fail("expected a finite score");
}

void DatasetWriter::renumber_labels(std::span<const int32_t> order) {
  for (std::vector<int32_t>* classes : {&labels_, &token_labels_}) {
    for (int32_t& label : *classes) {
      if (label >= 0) label = order[static_cast<size_t>(label)];
    }
  }
}

void DatasetWriter::save(const std::filesystem::path& path) const {
  if (size() == 0) {
    throw DataError(path.string(), "the dataset would hold no sample", "check the input");
  }
  const bool labelled = labels_.front() >= 0;
  for (const std::vector<int32_t>* classes : {&labels_, &token_labels_}) {
    if (!classes->empty() && *std::max_element(classes->begin(), classes->end()) >=
                                 static_cast<int64_t>(info_.label_names.size())) {
      throw DataError(path.string(), "a label is without a name");
    }
  }
  SafetensorsWriter writer;
  writer.metadata("format", std::string(kDatasetFormat));
  writer.metadata("format_version", std::string(kDatasetVersion));
  writer.metadata("task", info_.task);
  writer.metadata("tokenizer_hash", info_.tokenizer_hash);
  writer.metadata("source", info_.source);
  writer.metadata("vocabulary", std::to_string(info_.vocabulary));
  const SpecialIds& ids = info_.specials;
  const nlohmann::json specials{
      {"pad", ids.pad}, {"unk", ids.unk}, {"cls", ids.cls}, {"sep", ids.sep}, {"mask", ids.mask}};
  writer.metadata("special_ids", specials.dump());
  writer.metadata("max_length", std::to_string(info_.max_length));
  writer.metadata("truncated", std::to_string(info_.truncated));
  writer.metadata("skipped", std::to_string(info_.skipped));
  if (info_.unlabelled > 0) writer.metadata("unlabelled", std::to_string(info_.unlabelled));
  if (!info_.syntax.empty()) writer.metadata("syntax", info_.syntax);
  writer.metadata("label_names", nlohmann::json(info_.label_names).dump());

  std::vector<uint16_t> narrow;
  std::vector<uint32_t> wide;
  if (info_.vocabulary <= 65536) {
    narrow.assign(ids_.begin(), ids_.end());
    writer.add_array<uint16_t>("ids", narrow, shape_of(narrow));
  } else {
    wide.assign(ids_.begin(), ids_.end());
    writer.add_array<uint32_t>("ids", wide, shape_of(wide));
  }
  writer.add_array<int64_t>("offsets", offsets_, shape_of(offsets_));
  writer.add_array<int32_t>("words", words_, shape_of(words_));
  if (labelled) writer.add_array<int32_t>("labels", labels_, shape_of(labels_));
  if (!scores_.empty()) writer.add_array<float>("scores", scores_, shape_of(scores_));
  if (!token_labels_.empty()) {
    writer.add_array<int32_t>("token_labels", token_labels_, shape_of(token_labels_));
  }
  if (!segments_.empty()) writer.add_array<uint8_t>("segments", segments_, shape_of(segments_));
  if (!heads_.empty()) writer.add_array<int32_t>("heads", heads_, shape_of(heads_));
  if (!classes_.empty()) writer.add_array<int32_t>("classes", classes_, shape_of(classes_));
  if (!links_.empty()) {
    writer.add_array<int32_t>("links", links_, {static_cast<int64_t>(links_.size() / 2), 2});
    writer.add_array<int64_t>("link_offsets", link_offsets_, shape_of(link_offsets_));
  }
  writer.save(path);
}

}  // namespace filigree
