// Files that are written whole: what they replace, and what they never do.
#include "core/file.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/error.h"
#include "tests/temporary_folder.h"

namespace filigree {
namespace {

namespace fs = std::filesystem;

TEST(AtomicFile, ReplacesWhatALinkPointsAtAndLeavesTheLink) {
  const testing::TemporaryFolder folder;
  write_file(folder / "file", "old");
  fs::create_symlink("file", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "file"), "new");
  fs::create_symlink("absent", folder / "dangling");
  write_file(folder / "dangling", "there");
  EXPECT_EQ(read_file(folder / "absent"), "there");
}

TEST(AtomicFile, RefusesWhatIsNoFileAndLeavesIt) {
  const testing::TemporaryFolder folder;
  fs::create_directory(folder / "folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const char* name : {"folder", "pipe"}) {
    const fs::file_type before = fs::status(folder / name).type();
    EXPECT_THROW(write_file(folder / name, "x"), FileError) << name;
    EXPECT_THROW(expect_writable(folder / name), FileError) << name;
    EXPECT_EQ(fs::status(folder / name).type(), before) << name;
  }
  EXPECT_THROW(write_file("/dev/full", "x"), FileError);
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST(AtomicFile, WithoutCommitNothingIsThere) {
  const testing::TemporaryFolder folder;
  {
    AtomicFile file(folder / "x");
    file.write("half");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace filigree
