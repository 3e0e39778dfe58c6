// A dataset that Python wrote (tests/tasks/write_dataset.py: numpy and safetensors, no checksum) is
// read, bound to its content and trained on.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/file.h"
#include "core/safetensors.h"
#include "tasks/dataset/dataset.h"
#include "tasks/training/trainer.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;
using testing::TemporaryFolder;

using ::testing::HasSubstr;

const std::filesystem::path kFile =
    FILIGREE_SOURCE_DIR "/tests/tasks/data/python_dataset.safetensors";

/// The file with one piece of text in place of another as long, wherever it stands first.
std::string with(std::string_view from, std::string_view to) {
  std::string bytes = read_file(kFile);
  EXPECT_EQ(from.size(), to.size());
  const size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return bytes.replace(at, from.size(), to);
}

}  // namespace

TEST(PythonDataset, HoldsWhatTheScriptWrote) {
  const TokenDataset dataset = TokenDataset::open(kFile);
  EXPECT_EQ(dataset.info().tokenizer_hash, "numbers-1");
  EXPECT_EQ(dataset.info().vocabulary, 16);
  EXPECT_EQ(dataset.info().specials.mask, 4);
  EXPECT_THAT(dataset.info().label_names, ::testing::ElementsAre("no", "yes"));
  ASSERT_EQ(dataset.size(), 64);
  EXPECT_EQ(dataset.longest(), 9);
  for (int32_t i = 0; i < 64; ++i) {
    std::vector<int32_t> ids{2}, words{-1};  // by the rule in the script
    for (int32_t k = 0; k < 1 + i % 7; ++k) {
      ids.push_back(5 + (i * 5 + k * 3) % 11);
      words.push_back(k);
    }
    ids.push_back(3);
    words.push_back(-1);
    std::vector<int32_t> read(static_cast<size_t>(dataset.length(i)));
    dataset.copy_ids(i, read.data());
    EXPECT_EQ(read, ids) << i;
    EXPECT_THAT(dataset.words(i), ::testing::ElementsAreArray(words)) << i;
    EXPECT_EQ(dataset.label(i), std::count(ids.begin(), ids.end(), 5)) << i;
  }
}

TEST(PythonDataset, HasAChecksumOfItsContentThoughNoneIsStored) {
  EXPECT_EQ(SafetensorsFile(kFile).stored_checksum(), "");
  const std::string checksum = TokenDataset::open(kFile).checksum();
  EXPECT_EQ(checksum.size(), 16u);
  const TemporaryFolder folder;
  write_file(folder / "same", read_file(kFile));
  EXPECT_EQ(TokenDataset::open(folder / "same").checksum(), checksum);
  write_file(folder / "other", with("numbers-1", "numbers-2"));
  EXPECT_NE(TokenDataset::open(folder / "other").checksum(), checksum);
}

TEST(PythonDataset, WhatIsWrongIsNamed) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& bytes) {
    write_file(folder / "d", bytes);
    return error_of([&] { TokenDataset::open(folder / "d"); });
  };
  EXPECT_THAT(error(with("\"vocabulary\":\"16\"", "\"vocabulary\":\"15\"")),
              HasSubstr("expected \"ids\" from 0 to 14, got 15"));
  EXPECT_THAT(error(with("max_length", "max_height")), HasSubstr("the metadata lack"));
  EXPECT_THAT(error(with("max_length", "max_height")), HasSubstr("docs/dataset-format.md"));
  EXPECT_THAT(error(with("[\\\"no\\\", \\\"yes\\\"]", "[\\\"no\\\"         ]")),
              HasSubstr("expected \"labels\" from 0 to 0, got 1"));
  EXPECT_THAT(error(with("\"U16\"", "\"F16\"")), HasSubstr("dtype F16, expected U32"));
  EXPECT_THAT(error(with("filigree-dataset", "filigree-dataseT")), HasSubstr("no tokenized"));
}

TEST(PythonDataset, IsLearned) {
  const TemporaryFolder folder;
  TrainConfig config;
  config.data.train = config.data.dev = kFile;
  config.model.layers = 1;
  config.model.width = 32;
  config.model.pool = "mean";
  config.model.dropout = config.model.attention_dropout = 0;
  config.train.batch_tokens = 512;
  config.train.steps = 60;
  config.train.lr = 3e-3;
  const TrainResult result = train(config, folder.path() / "run", false);
  EXPECT_EQ(result.steps, 60);
  EXPECT_GT(result.state.best_metric, 0.95);
}

}  // namespace filigree
