// Tokenized datasets: what goes in comes out, and what is damaged is refused.
#include "tasks/dataset/dataset.h"

#include <cstring>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"
#include "tasks/dataset/batch.h"
#include "tasks/dataset/prepare.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;

using testing::TemporaryFolder;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

DatasetInfo info_of(int64_t vocabulary) {
  DatasetInfo info;
  info.vocabulary = vocabulary;
  info.tokenizer_hash = "0123456789abcdef";
  info.label_names = {"a", "b"};
  info.max_length = 8;
  return info;
}

/// Two samples, with everything that a sample may have.
void write_small(const std::filesystem::path& path, int64_t vocabulary) {
  DatasetWriter writer(info_of(vocabulary));
  const auto last = static_cast<int32_t>(vocabulary - 1);
  writer.add(std::vector<int32_t>{2, last, 3}, std::vector<int32_t>{-1, 0, -1},
             std::vector<uint8_t>{0, 0, 0}, std::vector<int32_t>{-1, -1, -1}, 1,
             std::vector<int32_t>{-1, 0, -1});
  writer.add(std::vector<int32_t>{2, 5, 3, 6, 3}, std::vector<int32_t>{-1, 0, -1, 1, -1},
             std::vector<uint8_t>{0, 0, 0, 1, 1}, std::vector<int32_t>{-1, 1, -1, -1, -1}, 0,
             std::vector<int32_t>{-1, 0, -1, 1, -1}, std::vector<int32_t>{0, 1});
  writer.save(path);
}

Tokenizer small_tokenizer() {
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  return Tokenizer::train(options, std::vector<std::string>{"a b c d e f g h do n't not"});
}

}  // namespace

TEST(Dataset, RoundTripOfNarrowAndWideIds) {
  for (const int64_t vocabulary : {65536, 65537}) {
    const TemporaryFolder folder;
    write_small(folder.path() / "d", vocabulary);
    const SafetensorsFile file(folder.path() / "d");
    EXPECT_EQ(file.entry("ids").dtype, vocabulary == 65536 ? "U16" : "U32");
    const TokenDataset dataset = TokenDataset::open(folder.path() / "d");
    EXPECT_EQ(dataset.size(), 2);
    EXPECT_EQ(dataset.tokens(), 8);
    EXPECT_EQ(dataset.longest(), 5);
    EXPECT_EQ(dataset.label(0), 1);
    std::vector<int32_t> ids(3);
    dataset.copy_ids(0, ids.data());
    EXPECT_THAT(ids, ElementsAre(2, vocabulary - 1, 3));
    EXPECT_THAT(dataset.segments(1), ElementsAre(0, 0, 0, 1, 1));
    EXPECT_THAT(dataset.heads(1), ElementsAre(-1, 1, -1, -1, -1));
    EXPECT_THAT(dataset.words(1), ElementsAre(-1, 0, -1, 1, -1));
    EXPECT_TRUE(dataset.has_links());
    EXPECT_THAT(dataset.links(0), ElementsAre());
    EXPECT_THAT(dataset.links(1), ElementsAre(0, 1));
    const Batch batch = make_batch(dataset, std::vector<int64_t>{1, 0, 1});
    EXPECT_EQ(batch.links.shape(), (Shape{2, 2}));
    EXPECT_THAT(std::as_const(batch.links).span<int32_t>(), ElementsAre(0, 1, 0, 1));
    EXPECT_THAT(std::as_const(batch.link_offsets).span<int64_t>(), ElementsAre(0, 1, 1, 2));
  }
}

TEST(Dataset, RefusesEveryDamage) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "d";
  write_small(path, 100);
  const std::string whole = read_file(path);
  for (size_t cut = 0; cut < whole.size(); cut += 7) {
    write_file(path, std::string_view(whole).substr(0, cut));
    EXPECT_NE(error_of([&] { TokenDataset::open(path); }), "no error") << "cut to " << cut;
  }
  // Every byte, but for the blanks between the header's closing brace and the data.
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  const size_t data = sizeof header + header, brace = whole.rfind('}', data - 1);
  for (size_t at = 0; at < whole.size(); ++at) {
    if (at > brace && at < data) continue;
    for (const int mask : {0x20, 0x01}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ mask);
      std::ofstream(path, std::ios::binary) << changed;  // without write_file()'s syncs
      EXPECT_NE(error_of([&] { TokenDataset::open(path); }), "no error") << at << " ^ " << mask;
    }
  }
}

TEST(Dataset, WriterChecksEverySample) {
  DatasetWriter writer(info_of(10));
  const auto add = [&](std::vector<int32_t> ids, std::vector<int32_t> words, int32_t label) {
    return error_of([&] { writer.add(ids, words, {}, {}, label); });
  };
  EXPECT_THAT(add({}, {}, 0), HasSubstr("no tokens"));
  EXPECT_THAT(add({2, 10}, {-1, 0}, 0), HasSubstr("expected an id from 0 to 9, got 10"));
  EXPECT_THAT(add({2}, {-1, 0}, 0), HasSubstr("as many words"));
  EXPECT_EQ(add({2, 3}, {-1, -1}, 0), "no error");
  EXPECT_THAT(add({2, 3}, {-1, -1}, -1), HasSubstr("for all samples or for none"));
  const auto with_classes = [&](const std::vector<int32_t>& classes) {
    return error_of([&] {
      const std::vector<int32_t> ids{2, 3}, words{-1, -1};
      writer.add(ids, words, {}, {}, 0, classes);
    });
  };
  EXPECT_THAT(with_classes({-1}), HasSubstr("as many classes"));
  EXPECT_THAT(with_classes({-1, -1}), HasSubstr("for all samples or for none"));
  EXPECT_EQ(writer.size(), 1);
}

TEST(Dataset, WriterChecksLinks) {
  DatasetWriter writer(info_of(10));
  const std::vector<int32_t> ids{2, 5, 6, 3}, words{-1, 0, 1, -1}, heads(4, -1);
  const auto add = [&](std::vector<int32_t> links, const std::vector<int32_t>& with) {
    return error_of([&] { writer.add(ids, words, {}, with, 0, {}, links); });
  };
  EXPECT_THAT(add({0}, heads), HasSubstr("pairs"));
  EXPECT_THAT(add({1, 0}, heads), HasSubstr("in order, got 1 and 0"));
  EXPECT_THAT(add({0, 2}, heads), HasSubstr("a link of two of 2 words"));
  EXPECT_THAT(add({-1, 0}, heads), HasSubstr("got -1 and 0"));
  EXPECT_THAT(add({0, 1, 0, 1}, heads), HasSubstr("twice or too late"));
  EXPECT_THAT(add({0, 1}, {}), HasSubstr("links need heads"));
  EXPECT_EQ(add({0, 1}, heads), "no error");
}

TEST(Dataset, ReaderChecksLinks) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "d";
  write_small(path, 100);
  const auto change = [&](std::vector<int32_t> links, std::vector<int64_t> ends) {
    const SafetensorsFile file(path);
    SafetensorsWriter writer;
    for (const auto& [key, value] : file.metadata()) {
      if (key != "xxh3") writer.metadata(key, value);
    }
    for (const std::string name : {"words", "labels", "heads"}) {
      const auto values = file.array<int32_t>(name);
      writer.add_array<int32_t>(name, values, {static_cast<int64_t>(values.size())});
    }
    writer.add_array<uint16_t>("ids", file.array<uint16_t>("ids"), {8});
    writer.add_array<int64_t>("offsets", file.array<int64_t>("offsets"), {3});
    writer.add_array<int32_t>("links", links, {static_cast<int64_t>(links.size()) / 2, 2});
    writer.add_array<int64_t>("link_offsets", ends, {static_cast<int64_t>(ends.size())});
    writer.save(folder / "changed");
    return error_of([&] { TokenDataset::open(folder / "changed"); });
  };
  EXPECT_EQ(change({0, 1}, {0, 0, 1}), "no error");
  EXPECT_THAT(change({0, 1}, {0, 1, 1}), HasSubstr("sample 0: expected a link of two of 1 words"));
  EXPECT_THAT(change({0, 1}, {0, 2, 1}), HasSubstr("descend"));
  EXPECT_THAT(change({0, 1}, {1, 1, 1}), HasSubstr("out of range"));
  EXPECT_THAT(change({0, 1}, {0, 0, 2}), HasSubstr("expected 4 numbers in \"links\""));
  EXPECT_THAT(change({0, 1}, {0, 1}), HasSubstr("expected 3 numbers in \"link_offsets\""));
}

TEST(Prepare, CutsTheLongerOfAPairAndKeepsSegments) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in.tsv", "x\ty\tz\na b c d e\tf g\tyes\na\tb\tno\n");
  PrepareOptions options;
  options.text = "x";
  options.pair = "y";
  options.label = "z";
  options.max_length = 8;
  const Tokenizer tokenizer = small_tokenizer();
  const PrepareReport report =
      prepare(folder.path() / "in.tsv", tokenizer, options, folder.path() / "out");
  EXPECT_EQ(report.truncated, 1);
  EXPECT_THAT(report.targets.labels, ElementsAre("no", "yes"));
  const TokenDataset dataset = TokenDataset::open(folder.path() / "out");
  EXPECT_EQ(dataset.length(0), 8);  // [CLS] a b c [SEP] f g [SEP]
  EXPECT_THAT(dataset.segments(0), ElementsAre(0, 0, 0, 0, 0, 1, 1, 1));
  EXPECT_EQ(dataset.label(0), 1);
}

TEST(Prepare, TreesGiveHeadsOfWordsAndContractionsCountOnce) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in.conllu",
             "# text = a don't b\n# label = x\n"
             "1\ta\ta\tNOUN\t_\t_\t2\tnsubj\t_\t_\n"
             "2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n"
             "2\tdo\tdo\tAUX\t_\t_\t0\troot\t_\t_\n"
             "3\tn't\tnot\tPART\t_\t_\t2\tadvmod\t_\t_\n"
             "4\tb\tb\tNOUN\t_\t_\t2\tobj\t_\t_\n\n");
  PrepareOptions options;
  options.text = "text";
  const PrepareReport report =
      prepare(folder.path() / "in.conllu", small_tokenizer(), options, folder.path() / "out");
  EXPECT_EQ(report.samples, 1);
  const TokenDataset dataset = TokenDataset::open(folder.path() / "out");
  EXPECT_THAT(dataset.words(0), ElementsAre(-1, 0, 1, 2, -1));
  EXPECT_THAT(dataset.heads(0), ElementsAre(-1, 1, -1, 1, -1));
  EXPECT_FALSE(dataset.has_links());
  EXPECT_EQ(dataset.info().syntax, "trees");
}

TEST(Prepare, ClassesAreLemmasElseFormsWithoutCase) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in.conllu",
             "# label = x\n"
             "1\ta\tone\tDET\t_\t_\t2\tdet\t_\t_\n"    // the lemma of "b"
             "2\tb\tOne\tNOUN\t_\t_\t0\troot\t_\t_\n"  // but for its case
             "3\tc\t_\tNOUN\t_\t_\t2\tdep\t_\t_\n"     // no lemma: its form
             "4\tC\t_\tNOUN\t_\t_\t2\tdep\t_\t_\n"
             "5-6\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n"  // a contraction: its form
             "5\tdo\tdo\tAUX\t_\t_\t2\tdep\t_\t_\n"
             "6\tn't\tnot\tPART\t_\t_\t5\tadvmod\t_\t_\n"
             "7\tdo\tdo\tAUX\t_\t_\t2\tdep\t_\t_\n"
             "8\ta\ta\tDET\t_\t_\t2\tdep\t_\t_\n\n");
  PrepareOptions options;
  options.text = "text";
  prepare(folder.path() / "in.conllu", small_tokenizer(), options, folder.path() / "out");
  const TokenDataset trees = TokenDataset::open(folder.path() / "out");
  ASSERT_TRUE(trees.has_classes());
  EXPECT_THAT(trees.words(0), ElementsAre(-1, 0, 1, 2, 3, 4, 5, 6, -1));
  EXPECT_THAT(trees.classes(0), ElementsAre(-1, 0, 0, 2, 2, 4, 5, 6, -1));

  write_file(folder.path() / "in.tsv", "x\ty\tlabel\na B b\tc A a\tl\n");
  options.text = "x";
  options.pair = "y";
  prepare(folder.path() / "in.tsv", small_tokenizer(), options, folder.path() / "pairs");
  const TokenDataset pairs = TokenDataset::open(folder.path() / "pairs");
  EXPECT_THAT(pairs.classes(0), ElementsAre(-1, 0, 1, 1, -1, 3, 0, 0, -1));
  const Batch batch = make_batch(pairs, std::vector<int64_t>{0});
  EXPECT_EQ(batch.classes.at(6), 0);
}

TEST(Prefetcher, GivesTheSamplersBatchesInOrder) {
  const TemporaryFolder folder;
  write_small(folder.path() / "d", 100);
  const TokenDataset dataset = TokenDataset::open(folder.path() / "d");
  SamplerOptions options;
  options.token_budget = 5;
  const Sampler sampler(dataset, options);
  Prefetcher batches(dataset, sampler, 3, 9, 2);
  for (int64_t cursor = 3; cursor < 9; ++cursor) {
    const auto batch = batches.next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->cursor, cursor);
    EXPECT_EQ(batch->samples, sampler.batch(cursor));
    EXPECT_EQ(batch->special.at(0), 1);
    EXPECT_EQ(batch->positions.at(1), 1);
  }
  EXPECT_FALSE(batches.next());
}

}  // namespace filigree
