// Runs the `filigree` command as a user would, and keeps what it said.
#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tests/temporary_folder.h"

namespace filigree::testing {

struct CommandResult {
  int status = -1;     ///< exit status; 128 + number if a signal ended it
  std::string output;  ///< standard and error output together
};

/// Starts `filigree WORDS`; output goes to the file.
pid_t start_command(const std::vector<std::string>& words, const std::filesystem::path& output);
/// Waits for it; exit status as above.
int wait_for(pid_t process);
/// Runs it to its end, with nothing on its standard input. `size_limit`: no file may grow beyond so
/// many bytes (a full disk); 0: none.
CommandResult run_command(const std::vector<std::string>& words, int64_t size_limit = 0);
/// The same with this text on its standard input.
CommandResult run_command_on(const std::string& input, const std::vector<std::string>& words);

/// A run of 4 short steps of width 32 into `out`, on these datasets, and `more` words.
std::vector<std::string> short_run(const std::string& out, const std::string& data,
                                   const std::string& dev,
                                   const std::vector<std::string>& more = {});
/// On those of local_data().
std::vector<std::string> short_run(const std::string& out,
                                   const std::vector<std::string>& more = {});

/// Folder with local.{train,dev}.tsv, a tokenizer "tok" and datasets "train", "dev": made once.
const TemporaryFolder& local_data();

}  // namespace filigree::testing
