// The link-grammar library (https://opencog.github.io/link-grammar-website/), in this process.
#pragma once

#include <memory>
#include <string>

#include "tasks/syntax/linkage.h"

namespace filigree {

/// Version of the library that this build has, "" for none.
std::string link_grammar_version();

/// The English parser. The library has no bounds of its own that hold: it may end the process on
/// odd text and pass its time limit by far, so parse in a process of its own (ParserPool).
class LinkParser {
 public:
  /// Reads the dictionary (0.1 s). Throws FileError if it is not there, ConfigError in a build
  /// without the library.
  LinkParser();
  ~LinkParser();
  LinkParser(const LinkParser&) = delete;
  LinkParser& operator=(const LinkParser&) = delete;

  /// What parses depend on: versions of library and dictionary, and settings.
  const std::string& identity() const;

  /// The best linkage of a sentence: the fewest words left out, then the lowest cost. Links to the
  /// walls at a sentence's ends are no links between words, and left out. Well-formed UTF-8; white
  /// space and control characters of any kind count as spaces. Cost: about the cube of the number
  /// of words, and more for ambiguous ones.
  Linkage parse(std::string_view sentence) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace filigree
