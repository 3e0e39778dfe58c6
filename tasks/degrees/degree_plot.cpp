#include "tasks/degrees/degree_plot.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include "core/error.h"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace filigree {

namespace {

/// A string of gnuplot in single quotes, in which a quote is doubled.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

/// One line a head and step of the grid: x from and to, the head's row, g in the middle.
std::string cells(const LearnedHeads& heads) {
  const Reaches grid = Reaches::up_to(heads.reach);
  std::string text;
  for (size_t h = 0; h < heads.all.size(); ++h) {
    for (int64_t k = 1; k < grid.count(); ++k) {
      const int64_t first = grid[k - 1] + 1, last = grid[k];
      const double g = heads.all[h].gate[static_cast<size_t>((first + last) / 2)];
      text += fmt::format("{} {} {} {:.6f}\n", static_cast<double>(first) - 0.5,
                          static_cast<double>(last) + 0.5, h, g);
    }
  }
  return text;
}

}  // namespace

std::string plot_script(const LearnedHeads& heads, const std::vector<HardHead>& hard,
                        const std::filesystem::path& picture) {
  std::string labels, marks;
  for (size_t h = 0; h < heads.all.size(); ++h) {
    labels +=
        fmt::format("{}\"{}.{}\" {}", h == 0 ? "" : ", ", heads.all[h].layer, heads.all[h].head, h);
    if (!hard.empty()) {
      marks += fmt::format("{} {}\n", static_cast<double>(hard[h].reach) + 0.5, h);
    }
  }
  std::string text = fmt::format(
      "set terminal svg size 900,{} background 'white' enhanced font 'sans,12'\n"
      "set output {}\n"
      "set title {} noenhanced\n"
      "set xlabel 'distance in tokens'\nset ylabel 'layer.head'\nset cblabel 'gate g(d)'\n"
      "set logscale x 2\nset xrange [0.5:{}]\nset yrange [{}:-0.5]\nset xtics 1,2\nset ytics ({})\n"
      "set cbrange [0:1]\nset palette defined (0 '#f7fbff', 1 '#08306b')\nunset key\n"
      "$cells << EOD\n{}EOD\n",
      140 + 22 * heads.all.size(), quoted(picture.string()),
      quoted(fmt::format("degrees learned by {}: density {:.1f}%", heads.learner,
                         100 * heads.density)),
      static_cast<double>(heads.reach) + 0.5, static_cast<double>(heads.all.size()) - 0.5, labels,
      cells(heads));
  if (!marks.empty()) text += fmt::format("$marks << EOD\n{}EOD\n", marks);
  text +=
      "plot $cells using (($1+$2)/2):3:1:2:($3-0.45):($3+0.45):4 "
      "with boxxyerror fillstyle solid noborder linecolor palette";
  if (!marks.empty()) text += ", $marks using 1:2 with points pointtype 9 linecolor 'red'";
  return text + "\n";
}

bool run_gnuplot(const std::filesystem::path& script) {
  const std::string file = script.string();
  std::string name = "gnuplot";
  char* words[] = {name.data(), const_cast<char*>(file.c_str()), nullptr};
  pid_t process = 0;
  const int problem = posix_spawnp(&process, name.c_str(), nullptr, nullptr, words, environ);
  if (problem == ENOENT) return false;
  if (problem != 0) throw FileError(name, std::strerror(problem), "check its installation");
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  throw FileError(file, "gnuplot could not draw it", "run gnuplot on the file to see why");
}

}  // namespace filigree
