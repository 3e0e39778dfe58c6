// The design's rules that a compiler does not check: arrows between folders, clean public headers.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace filigree::testing {

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = FILIGREE_SOURCE_DIR;
const std::map<std::string, int> kOrder = {{"core", 0}, {"autograd", 1}, {"attention", 2},
                                           {"nn", 3},   {"tasks", 4},    {"tools", 5}};

/// Calls visit(folder, file, line) for every line of every source file.
template <class Visit>
void each_line(Visit&& visit) {
  for (const auto& [folder, place] : kOrder) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string extension = entry.path().extension();
      const std::set<std::string> code{".h", ".cpp", ".cu", ".cuh"};
      if (!code.contains(extension)) continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) visit(folder, entry.path(), line);
    }
  }
}

}  // namespace

TEST(House, ArrowsPointOneWay) {
  const std::regex include("#include \"([a-z]+)/.*");
  int includes = 0;
  each_line([&](const std::string& folder, const fs::path& file, const std::string& line) {
    std::smatch match;
    if (!std::regex_match(line, match, include)) return;
    ++includes;
    ASSERT_TRUE(kOrder.contains(match[1])) << file << ": " << line;
    EXPECT_LE(kOrder.at(match[1]), kOrder.at(folder)) << file << ": " << line;
  });
  EXPECT_GT(includes, 100);
}

TEST(House, NoEigenOrCudaInHeaders) {
  const std::regex banned("#include [<\"](Eigen|cuda|cublas|nccl).*");
  each_line([&](const std::string&, const fs::path& file, const std::string& line) {
    const bool public_header =
        file.extension() == ".h" && file.string().find("/kernels/") == std::string::npos;
    EXPECT_FALSE(public_header && std::regex_match(line, banned)) << file << ": " << line;
  });
}

TEST(House, FilesAreShort) {
  std::map<std::string, int> lines;
  each_line([&](const std::string&, const fs::path& file, const std::string&) {
    ++lines[file.string()];
  });
  for (const auto& [file, count] : lines) EXPECT_LE(count, 420) << file;
}

}  // namespace filigree::testing
