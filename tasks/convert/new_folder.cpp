#include "tasks/convert/new_folder.h"

#include <fmt/format.h>
#include <system_error>
#include <unistd.h>

#include "core/error.h"

namespace filigree {

namespace fs = std::filesystem;

namespace {

void expect_free(const fs::path& path) {
  if (!fs::exists(fs::symlink_status(path))) return;
  throw FileError(path.string(), "exists already", "give the name of a folder that is not there");
}

/// "a/b/" is "a/b".
fs::path without_slash(fs::path path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

NewFolder::NewFolder(const fs::path& path) : path_(without_slash(path)) {
  expect_free(path_);
  temporary_ = path_;
  temporary_ += fmt::format(".tmp-{}", getpid());
  std::error_code error;
  fs::remove_all(temporary_, error);  // of a process that had this number before
  fs::create_directory(temporary_, error);
  if (error) {
    throw FileError(path_.string(), fmt::format("cannot make the folder: {}", error.message()));
  }
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void NewFolder::commit() {
  expect_free(path_);
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) {
    throw FileError(path_.string(), fmt::format("cannot name the folder: {}", error.message()));
  }
  temporary_.clear();
}

}  // namespace filigree
