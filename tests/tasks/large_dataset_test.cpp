// A dataset of five gigabytes: it is opened, shuffled and gone on with in little memory.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <xxhash.h>

#include "core/error.h"
#include "core/file.h"
#include "tasks/dataset/batch.h"
#include "tasks/dataset/dataset.h"
#include "tasks/dataset/sampler.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace filigree {

namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr int64_t kLength = 512, kSamples = 1'630'000;
constexpr int64_t bytes_of(int64_t samples) { return 8 * (samples + 1) + 6 * kLength * samples; }
static_assert(bytes_of(kSamples) > 5'000'000'000);

/// A dataset of tokens 0 of word 0, as holes in the file. False if the file system has none.
bool write_sparse(const std::string& path, int64_t samples) {
  const int64_t tokens = kLength * samples, bytes = bytes_of(samples);
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i <= samples; ++i) offsets.push_back(i * kLength);
  const int64_t words = 8 * (samples + 1), ids = words + 4 * tokens;
  nlohmann::json header = {
      {"__metadata__",
       {{"format", "filigree-dataset"},
        {"format_version", "2"},
        {"task", "text"},
        {"tokenizer_hash", "0123456789abcdef"},
        {"source", "holes"},
        {"vocabulary", "1000"},
        {"max_length", "512"},
        {"truncated", "0"},
        {"skipped", "0"},
        {"label_names", "[]"}}},
      {"offsets", {{"dtype", "I64"}, {"shape", {samples + 1}}, {"data_offsets", {0, words}}}},
      {"words", {{"dtype", "I32"}, {"shape", {tokens}}, {"data_offsets", {words, ids}}}},
      {"ids", {{"dtype", "U16"}, {"shape", {tokens}}, {"data_offsets", {ids, bytes}}}}};
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  const std::string unsealed = header.dump();
  XXH3_64bits_update(state, unsealed.data(), unsealed.size());
  XXH3_64bits_update(state, offsets.data(), 8 * offsets.size());
  const std::vector<uint8_t> zeros(size_t{1} << 20);
  for (int64_t left = bytes - words; left > 0; left -= std::ssize(zeros)) {
    XXH3_64bits_update(state, zeros.data(),
                       static_cast<size_t>(std::min<int64_t>(left, std::ssize(zeros))));
  }
  header["__metadata__"]["xxh3"] = to_hex(XXH3_64bits_digest(state));
  XXH3_freeState(state);
  std::string text = header.dump();
  text.append((64 - (text.size() + 8) % 64) % 64, ' ');
  const uint64_t size = text.size();
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file << text;
    file.write(reinterpret_cast<const char*>(offsets.data()), words);
  }
  std::filesystem::resize_file(path, 8 + size + static_cast<uint64_t>(bytes));
  struct stat info {};
  struct statfs system {};
  constexpr long kTmpfs = 0x01021994;  // holes that are read there become memory
  return stat(path.c_str(), &info) == 0 && info.st_blocks * 512 < bytes / 10 &&
         statfs(path.c_str(), &system) == 0 && system.f_type != kTmpfs;
}

/// A line of /proc/self/status, in bytes.
int64_t memory(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return 1024 * std::stoll(line.substr(name.size() + 1));
  }
  return 0;
}

/// The most memory that `work` had at a time, beyond what there was before.
template <class Work>
int64_t peak_of(Work&& work) {
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak is that of now
  const int64_t before = memory("VmHWM");
  work();
  return memory("VmHWM") - before;
}

}  // namespace

TEST(LargeDataset, OpensShufflesAndGoesOnInLittleMemory) {
  const TemporaryFolder folder;
  const std::string path = folder / "data";
  if (!write_sparse(path, kSamples)) {
    GTEST_SKIP() << "the file system of " << folder.path()
                 << " has no holes in files, or is memory";
  }
  const std::clock_t clock_start = std::clock();
  const auto start = std::chrono::steady_clock::now();
  const auto mebibytes = [](int64_t bytes) { return static_cast<double>(bytes) / 1048576; };
  SamplerOptions options;
  options.token_budget = 8 * kLength;
  const int64_t peak = peak_of([&] {
    const TokenDataset data = TokenDataset::open(path);
    EXPECT_EQ(data.tokens(), kLength * kSamples);
    const Sampler sampler(data, options);
    const int64_t epoch = sampler.batches_per_epoch();
    EXPECT_EQ(epoch, (kSamples / 2 + 7) / 8 * 2);  // two windows
    std::set<int64_t> seen;
    int64_t far = 0;
    for (int64_t cursor = 0; cursor < 400; ++cursor) {
      for (const int64_t sample : sampler.batch(cursor)) {
        EXPECT_TRUE(seen.insert(sample).second);
        far += !seen.contains(sample - 1);
      }
    }
    EXPECT_GT(far, 3000) << "not shuffled";
    // A run that goes on in the middle of the third epoch, and one that came there.
    const int64_t cursor = 2 * epoch + epoch / 2 - 3;
    Prefetcher batches(data, Sampler(data, options), cursor, cursor + 6);
    for (int64_t c = cursor; c < cursor + 6; ++c) {
      const std::optional<Batch> batch = batches.next();
      ASSERT_TRUE(batch.has_value());
      EXPECT_EQ(batch->samples, sampler.batch(c));
      EXPECT_EQ(batch->tokens(), kLength * batch->sequences());
    }
    // Reading on and on keeps no more.
    Prefetcher many(data, sampler, epoch, epoch + 700);
    int64_t tokens = 0;
    while (const std::optional<Batch> batch = many.next()) tokens += batch->tokens();
    EXPECT_GT(tokens, 2'500'000);
  });
  const double computed = static_cast<double>(std::clock() - clock_start) / CLOCKS_PER_SEC;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("  %.2f GB: peak %.0f MiB beyond the start, %.1f s, %.1f s of CPU\n",
              1e-9 * static_cast<double>(bytes_of(kSamples)), mebibytes(peak), seconds, computed);
  EXPECT_LT(mebibytes(peak), 256);
}

TEST(LargeDataset, DamageAnywhereIsFound) {
  const TemporaryFolder folder;
  const std::string path = folder / "data";
  if (!write_sparse(path, 100'000)) GTEST_SKIP() << "no holes in files, or a file system in memory";
  {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-1'000'001, std::ios::end);
    file.put(1);  // an id that is in range
  }
  EXPECT_THAT(error_of([&] { TokenDataset::open(path); }), HasSubstr("checksum"));
}

}  // namespace filigree
