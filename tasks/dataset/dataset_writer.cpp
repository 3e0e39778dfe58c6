#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/safetensors.h"
#include "tasks/dataset/column.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/format.h"

namespace filigree {

namespace {

template <class T>
Shape shape_of(const std::vector<T>& values) {
  return {std::ssize(values)};
}

/// One number as the end of a column.
void append(Column<int64_t>& column, int64_t value) {
  column.append(std::span<const int64_t>(&value, 1));
}

}  // namespace

struct DatasetWriter::Arrays {
  Arrays(const std::filesystem::path& scratch, bool is_narrow)
      : ids_are_narrow(is_narrow),
        narrow(scratch),
        wide(scratch),
        words(scratch),
        heads(scratch),
        classes(scratch),
        segments(scratch),
        offsets(scratch),
        links(scratch),
        link_offsets(scratch) {
    append(offsets, 0);
    append(link_offsets, 0);
  }

  bool ids_are_narrow;
  Column<uint16_t> narrow;            // (T) ids of a small vocabulary
  Column<uint32_t> wide;              // (T) ids of a large one
  Column<int32_t> words;              // (T)
  Column<int32_t> heads;              // (T) or empty
  Column<int32_t> classes;            // (T) or empty
  Column<uint8_t> segments;           // (T) or empty
  Column<int64_t> offsets;            // (N+1)
  Column<int32_t> links;              // (K, 2)
  Column<int64_t> link_offsets;       // (N+1)
  std::vector<int32_t> labels;        // (N) or empty
  std::vector<float> scores;          // (N) or empty
  std::vector<int32_t> token_labels;  // (T) or empty
  QuestionWriter questions;           // empty without features
};

DatasetWriter::DatasetWriter(DatasetInfo info, std::filesystem::path scratch)
    : info_(std::move(info)),
      arrays_(std::make_unique<Arrays>(scratch, info_.vocabulary <= 65536)) {
  if (info_.vocabulary < 1 || info_.tokenizer_hash.empty()) {
    throw DataError("dataset", "a dataset needs the vocabulary and hash of its tokenizer");
  }
}

DatasetWriter::~DatasetWriter() = default;

int64_t DatasetWriter::size() const { return arrays_->offsets.size() - 1; }
int64_t DatasetWriter::tokens() const { return arrays_->words.size(); }
QuestionWriter& DatasetWriter::questions() { return arrays_->questions; }

void DatasetWriter::add(std::span<const int32_t> ids, std::span<const int32_t> words,
                        std::span<const uint8_t> segments, std::span<const int32_t> heads,
                        const Target& target, std::span<const int32_t> classes,
                        std::span<const int32_t> links) {
  Arrays& a = *arrays_;
  const auto fail = [&](std::string_view what) {
    throw DataError("dataset", fmt::format("sample {}: {}", size(), what));
  };
  const size_t length = ids.size();
  if (length == 0) fail("no tokens");
  if (words.size() != length) fail("as many words as ids are needed");
  if (!segments.empty() && segments.size() != length) fail("as many segments as ids are needed");
  if (!heads.empty() && heads.size() != length) fail("as many heads as ids are needed");
  if (!classes.empty() && classes.size() != length) fail("as many classes as ids are needed");
  if (size() > 0 && (segments.empty() != a.segments.empty() || heads.empty() != a.heads.empty() ||
                     classes.empty() != a.classes.empty())) {
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
  if (target.feature) a.questions.add_feature(*target.feature, length);
  if (a.ids_are_narrow) {
    a.narrow.append(ids);
  } else {
    a.wide.append(ids);
  }
  a.words.append(words);
  a.segments.append(segments);
  a.heads.append(heads);
  a.classes.append(classes);
  append(a.offsets, tokens());
  a.links.append(links);
  append(a.link_offsets, a.links.size() / 2);
  if (target.label >= 0) a.labels.push_back(target.label);
  if (target.score) a.scores.push_back(*target.score);
  a.token_labels.insert(a.token_labels.end(), target.token_labels.begin(),
                        target.token_labels.end());
}

void DatasetWriter::expect_target(const Target& target, size_t length) const {
  const Arrays& a = *arrays_;
  const auto fail = [&](std::string_view what) {
    throw DataError("dataset", fmt::format("sample {}: {}", size(), what));
  };
  if (!target.token_labels.empty() && target.token_labels.size() != length) {
    fail("as many token labels as ids are needed");
  }
  if (size() > 0 &&
      ((target.label < 0) != a.labels.empty() || target.score.has_value() == a.scores.empty() ||
       target.token_labels.empty() != a.token_labels.empty() ||
       target.feature.has_value() == a.questions.empty())) {
    fail("labels, scores, token labels and features must be there for all samples or for none");
  }
  if (target.label < -1) fail(fmt::format("expected a label from -1, got {}", target.label));
  for (const int32_t label : target.token_labels) {
    if (label < -1) fail(fmt::format("expected a token label from -1, got {}", label));
  }
  if (target.score && !std::isfinite(*target.score)) fail("expected a finite score");
}

void DatasetWriter::renumber_labels(std::span<const int32_t> order) {
  Arrays& a = *arrays_;
  for (std::vector<int32_t>* classes : {&a.labels, &a.token_labels}) {
    for (int32_t& label : *classes) {
      if (label >= 0) label = order[static_cast<size_t>(label)];
    }
  }
}

void DatasetWriter::save(const std::filesystem::path& path) const {
  const Arrays& a = *arrays_;
  if (size() == 0) {
    throw DataError(path.string(), "the dataset would hold no sample", "check the input");
  }
  for (const std::vector<int32_t>* classes : {&a.labels, &a.token_labels}) {
    if (!classes->empty() && *std::max_element(classes->begin(), classes->end()) >=
                                 static_cast<int64_t>(info_.label_names.size())) {
      throw DataError(path.string(), "a label is without a name");
    }
  }
  SafetensorsWriter writer;
  writer.metadata("format", std::string(kDatasetFormat));
  writer.metadata("format_version", std::string(kDatasetVersion));
  writer.metadata(kMakerKey, std::string(kMaker));
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
  if (info_.unanswerable > 0) {
    writer.metadata("unanswerable", std::to_string(info_.unanswerable));
  }
  if (!info_.syntax.empty()) writer.metadata("syntax", info_.syntax);
  writer.metadata("label_names", nlohmann::json(info_.label_names).dump());

  if (a.ids_are_narrow) {
    a.narrow.add_to(writer, "ids");
  } else {
    a.wide.add_to(writer, "ids");
  }
  a.offsets.add_to(writer, "offsets");
  a.words.add_to(writer, "words");
  if (!a.labels.empty()) writer.add_array<int32_t>("labels", a.labels, shape_of(a.labels));
  if (!a.scores.empty()) writer.add_array<float>("scores", a.scores, shape_of(a.scores));
  if (!a.token_labels.empty()) {
    writer.add_array<int32_t>("token_labels", a.token_labels, shape_of(a.token_labels));
  }
  if (!a.questions.empty()) a.questions.save(writer);
  if (!a.segments.empty()) a.segments.add_to(writer, "segments");
  if (!a.heads.empty()) a.heads.add_to(writer, "heads");
  if (!a.classes.empty()) a.classes.add_to(writer, "classes");
  if (!a.links.empty()) {
    a.links.add_to(writer, "links", {a.links.size() / 2, 2});
    a.link_offsets.add_to(writer, "link_offsets");
  }
  writer.save(path);
}

}  // namespace filigree
