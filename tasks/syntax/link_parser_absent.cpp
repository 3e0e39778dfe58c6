// The parser of a build without link-grammar.
#include "core/error.h"
#include "tasks/syntax/link_parser.h"

namespace filigree {

struct LinkParser::State {};

std::string link_grammar_version() { return ""; }

LinkParser::LinkParser() {
  throw ConfigError("parse", "this build has no link-grammar",
                    "install liblink-grammar-dev and link-grammar-dictionaries-en (`tools/setup`), "
                    "then configure and build again");
}
LinkParser::~LinkParser() = default;

const std::string& LinkParser::identity() const {
  throw ConfigError("parse", "this build has no link-grammar");
}
Linkage LinkParser::parse(std::string_view) const {
  throw ConfigError("parse", "this build has no link-grammar");
}

}  // namespace filigree
