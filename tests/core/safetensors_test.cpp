#include "core/safetensors.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/error.h"
#include "core/file.h"
#include "core/random.h"

namespace filigree {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("filigree-" + std::string(info->name()) + "-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path sample() {
    SafetensorsWriter writer;
    writer.metadata("format", "1");
    writer.add("w", Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3}));
    writer.add("n", Tensor::from(std::vector<int64_t>{7}));
    writer.add("empty", Tensor::zeros({0, 4}, DType::f64));
    const std::vector<uint16_t> ids{1, 2, 65535};
    writer.add_array<uint16_t>("ids", ids, {3});
    const fs::path path = folder_ / "sample.safetensors";
    writer.save(path);
    return path;
  }

  fs::path folder_;
};

std::string raw_file(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + data;
}

TEST_F(SafetensorsTest, RoundTrip) {
  const SafetensorsFile file(sample());
  file.verify_checksum();
  EXPECT_EQ(file.metadata().at("format"), "1");
  const Tensor w = file.tensor("w");
  EXPECT_EQ(w.shape(), (Shape{2, 3}));
  EXPECT_EQ(w.at(4), 5);
  EXPECT_EQ(file.tensor("n").item(), 7);
  EXPECT_EQ(file.tensor("empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(file.array<uint16_t>("ids")[2], 65535);
  EXPECT_THROW(file.array<uint32_t>("ids"), CheckpointError);
  EXPECT_THROW(file.tensor("ids"), CheckpointError);
  try {
    file.tensor("idz");
    ADD_FAILURE();
  } catch (const CheckpointError& error) {
    EXPECT_NE(std::string(error.what()).find("\"ids\""), std::string::npos) << error.what();
  }
}

TEST_F(SafetensorsTest, TensorOutlivesItsFile) {
  Tensor w;
  { w = SafetensorsFile(sample()).tensor("w"); }
  fs::remove(folder_ / "sample.safetensors");
  EXPECT_EQ(w.at(5), 6);
}

TEST_F(SafetensorsTest, WritingToATensorLeavesTheFileAlone) {
  const fs::path path = sample();
  SafetensorsFile(path).tensor("w").fill(9);
  const SafetensorsFile file(path);
  EXPECT_EQ(file.tensor("w").at(5), 6);
  file.verify_checksum();
}

TEST_F(SafetensorsTest, SameContentSameBytes) {
  const std::string first = read_file(sample());
  EXPECT_EQ(first, read_file(sample()));
}

TEST_F(SafetensorsTest, CutAtAnyByteIsRefused) {
  const std::string whole = read_file(sample());
  const fs::path cut = folder_ / "cut.safetensors";
  for (size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(cut, std::ios::binary) << whole.substr(0, size);
    EXPECT_THROW(SafetensorsFile{cut}, CheckpointError) << size;
  }
}

TEST_F(SafetensorsTest, ChangedDataFailsTheChecksum) {
  std::string bytes = read_file(sample());
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file(folder_ / "changed.safetensors", bytes);
  const SafetensorsFile file(folder_ / "changed.safetensors");
  EXPECT_THROW(file.verify_checksum(), CheckpointError);
}

TEST_F(SafetensorsTest, ForeignAndHostileHeadersAreRefused) {
  const std::string data(8, '\0');
  const std::vector<std::string> headers{
      "not json",
      "[]",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
      R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"X9","shape":[2],"data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}})",
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
      R"({"__metadata__":{"a":1},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})",
      R"({"a":5})"};
  for (const std::string& header : headers) {
    write_file(folder_ / "x", raw_file(header, data));
    EXPECT_THROW(SafetensorsFile{folder_ / "x"}, CheckpointError) << header;
  }
  write_file(folder_ / "x", std::string(8, '\xff'));
  EXPECT_THROW(SafetensorsFile{folder_ / "x"}, CheckpointError);
  EXPECT_THROW(SafetensorsFile{folder_ / "absent"}, FileError);
  EXPECT_THROW(SafetensorsFile{folder_}, FileError);
}

// A bit flipped anywhere, header or data, is refused: never a crash, never another content.
TEST_F(SafetensorsTest, AFlippedBitIsRefused) {
  const std::string whole = read_file(sample());
  RandomStream random(1, Purpose::test);
  const size_t header_end = whole.rfind('}') + 1;  // then blanks, which say nothing
  const size_t data_begin = 8 + *reinterpret_cast<const uint64_t*>(whole.data());
  for (int trial = 0; trial < 500; ++trial) {
    std::string bytes = whole;
    const size_t at = random.below(bytes.size());
    if (at >= header_end && at < data_begin) continue;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    std::ofstream(folder_ / "flip", std::ios::binary) << bytes;
    EXPECT_THROW(SafetensorsFile(folder_ / "flip").verify_checksum(), CheckpointError) << at;
  }
}

TEST_F(SafetensorsTest, ReadsAFileFromElsewhere) {
  const float values[] = {1.5f, -2};
  write_file(folder_ / "x", raw_file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )",
                                     std::string(reinterpret_cast<const char*>(values), 8)));
  const SafetensorsFile file(folder_ / "x");
  const std::string checksum = file.verify_checksum(Unsealed::accept);
  EXPECT_THROW(file.verify_checksum(), CheckpointError);
  write_file(folder_ / "y", raw_file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )",
                                     std::string(8, '\1')));
  EXPECT_NE(SafetensorsFile(folder_ / "y").verify_checksum(Unsealed::accept), checksum);
  EXPECT_EQ(file.tensor("a").at(1), -2);  // whatever the alignment
}

TEST_F(SafetensorsTest, NoSpaceLeavesTheOldFile) {
  const fs::path path = sample();
  const std::string before = read_file(path);
  SafetensorsWriter writer;
  writer.add("w", Tensor::zeros({1 << 16}));
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{4096, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    writer.save(path);
  } catch (const FileError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}), 1);
}

TEST_F(SafetensorsTest, OffsetsBeyondFourGigabytes) {
  // A sparse file: 5 GiB of zeros, then one number.
  constexpr uint64_t kFar = uint64_t{5} << 30;
  const std::string header = "{\"far\":{\"dtype\":\"U8\",\"shape\":[" + std::to_string(kFar) +
                             "],\"data_offsets\":[0," + std::to_string(kFar) +
                             "]},\"last\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" +
                             std::to_string(kFar) + "," + std::to_string(kFar + 1) + "]}}";
  const fs::path path = folder_ / "far";
  write_file(path, raw_file(header, ""));
  const auto start = fs::file_size(path);
  fs::resize_file(path, start + kFar);
  std::ofstream(path, std::ios::binary | std::ios::app) << '\x2a';
  const SafetensorsFile file(path);
  EXPECT_EQ(file.tensor("last").item(), 42);
  EXPECT_EQ(file.tensor("far").numel(), static_cast<int64_t>(kFar));
}

}  // namespace
}  // namespace filigree
