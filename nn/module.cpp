#include "nn/module.h"

#include <fmt/format.h>

#include "core/error.h"
#include "nn/rounded_copy.h"

namespace filigree {

NamedParameters Module::named_parameters() const {
  NamedParameters found;
  collect("", found);
  return found;
}

void Module::collect(const std::string& prefix, NamedParameters& found) const {
  for (const auto& [name, parameter, kind] : parameters_)
    found.push_back({prefix + name, parameter, kind});
  for (const auto& [name, child] : children_) child->collect(prefix + name + ".", found);
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, parameter, kind] : named_parameters()) count += parameter.value().numel();
  return count;
}

void Module::zero_grad() {
  for (auto& [name, parameter, kind] : named_parameters()) parameter.zero_grad();
}

int64_t Module::rounded_count() const {
  std::vector<RoundedCopy*> copies;
  collect_rounded(copies);
  int64_t count = 0;
  for (const RoundedCopy* copy : copies) count += copy->numel();
  return count;
}

void Module::make_rounded(DType dtype) const {
  std::vector<RoundedCopy*> copies;
  collect_rounded(copies);
  RoundedCopy::current(copies, dtype);
}

void Module::collect_rounded(std::vector<RoundedCopy*>& found) const {
  found.insert(found.end(), rounded_.begin(), rounded_.end());
  for (const auto& child : children_) child.second->collect_rounded(found);
}

StateDict Module::state_dict() const {
  StateDict state;
  for (const auto& [name, parameter, kind] : named_parameters()) state[name] = parameter.value();
  return state;
}

std::vector<std::string> Module::load_state_dict(const StateDict& state, bool strict) {
  std::string missing, unexpected, misshapen;
  std::vector<std::string> kept;
  std::vector<std::pair<Variable, Tensor>> loads;
  std::map<std::string, bool> known;
  for (const auto& [name, parameter, kind] : named_parameters()) {
    known[name] = true;
    const auto found = state.find(name);
    if (found == state.end()) {
      missing += "\n  missing    " + name;
      kept.push_back(name);
    } else if (found->second.shape() != parameter.shape() ||
               found->second.dtype() != parameter.dtype()) {
      misshapen += fmt::format("\n  misshapen  {}: expected {}, got {}", name,
                               describe(parameter.value()), describe(found->second));
      kept.push_back(name);
    } else {
      loads.emplace_back(parameter, found->second);
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!known.count(name)) unexpected += "\n  unexpected " + name;
  }
  const std::string faults = missing + unexpected + misshapen;
  if (strict && !faults.empty()) {
    throw CheckpointError("state dict", "does not fit the model:" + faults,
                          "load it into a model of the same configuration");
  }
  for (auto& [parameter, tensor] : loads) parameter.value().copy_from(tensor);
  return kept;
}

void Module::expect_new(const std::string& name) const {
  bool taken = name.empty();
  for (const NamedParameter& parameter : parameters_) taken |= parameter.name == name;
  for (const auto& child : children_) taken |= child.first == name;
  if (taken) {
    throw ConfigError("module", fmt::format("the name \"{}\" is taken or empty", name),
                      "give every parameter and child a name of its own");
  }
}

Variable Module::add_parameter(const std::string& name, const Shape& shape, DType dtype,
                               ParameterKind kind) {
  expect_new(name);
  Variable parameter(Tensor::zeros(shape, dtype), true);
  parameter.set_name(name);
  parameters_.push_back({name, parameter, kind});
  return parameter;
}

void Module::add_child(const std::string& name, Module& child) {
  expect_new(name);
  children_.emplace_back(name, &child);
}

}  // namespace filigree
