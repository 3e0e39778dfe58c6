#include "autograd/graphviz.h"

#include <fmt/format.h>
#include <map>
#include <set>
#include <vector>

#include "autograd/function.h"

namespace filigree {

namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string to_graphviz(const Variable& root) {
  std::string edges, leaves;
  std::map<std::string, std::string> clusters;  // module path -> its nodes
  std::map<const void*, size_t> leaf_numbers;
  std::set<const Function*> seen;
  std::vector<const Function*> stack;
  if (root.function()) stack.push_back(root.function().get());
  while (!stack.empty()) {
    const Function* node = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second) continue;
    clusters[node->module_path()] +=
        fmt::format("    f{} [label=\"{}\"];\n", node->number(), escaped(node->name()));
    for (const auto& edge : node->edges()) {
      if (!edge.wanted) continue;
      if (edge.function) {
        edges += fmt::format("  f{} -> f{};\n", edge.function->number(), node->number());
        stack.push_back(edge.function.get());
        continue;
      }
      const auto [place, fresh] =
          leaf_numbers.try_emplace(edge.leaf.value().raw(), leaf_numbers.size());
      if (fresh) {
        leaves += fmt::format("  v{} [shape=ellipse, label=\"{}\\n{}\"];\n", place->second,
                              escaped(edge.leaf.name()), to_string(edge.leaf.shape()));
      }
      edges += fmt::format("  v{} -> f{};\n", place->second, node->number());
    }
  }
  std::string text = "digraph filigree {\n  node [shape=box];\n";
  for (const auto& [path, nodes] : clusters) {
    if (path.empty()) {
      text += nodes;
    } else {
      text += fmt::format("  subgraph \"cluster_{0}\" {{\n    label=\"{0}\";\n{1}  }}\n",
                          escaped(path), nodes);
    }
  }
  return text + leaves + edges + "}\n";
}

}  // namespace filigree
