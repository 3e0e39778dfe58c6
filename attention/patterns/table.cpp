// The table of patterns: a new pattern is a file and a line here.
#include "attention/patterns/kind.h"

namespace filigree {

PatternKind dense_pattern();
PatternKind self_pattern();
PatternKind neighbour_pattern();
PatternKind dilated_pattern();
PatternKind block_pattern();
PatternKind strided_pattern();
PatternKind fixed_pattern();
PatternKind causal_pattern();
PatternKind global_pattern();
PatternKind random_pattern();
PatternKind syntax_pattern();
PatternKind lexical_pattern();
PatternKind bigbird_pattern();
PatternKind longformer_pattern();
PatternKind irregular_pattern();
PatternKind offsets_pattern();
PatternKind rewired_pattern();
PatternKind shuffled_pattern();

const std::vector<PatternKind>& pattern_kinds() {
  static const std::vector<PatternKind> kinds{
      dense_pattern(),   self_pattern(),       neighbour_pattern(), dilated_pattern(),
      strided_pattern(), fixed_pattern(),      block_pattern(),     causal_pattern(),
      global_pattern(),  random_pattern(),     syntax_pattern(),    lexical_pattern(),
      bigbird_pattern(), longformer_pattern(), irregular_pattern(), offsets_pattern(),
      rewired_pattern(), shuffled_pattern(),
  };
  return kinds;
}

std::vector<PatternHelp> pattern_help() {
  std::vector<PatternHelp> help;
  for (const PatternKind& kind : pattern_kinds()) help.push_back(kind.help);
  return help;
}

}  // namespace filigree
