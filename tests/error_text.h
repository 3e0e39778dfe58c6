// The text of the error that a call throws.
#pragma once

#include <string>

#include "core/error.h"

namespace filigree::testing {

/// what() of the filigree::Error, "no error" if there is none. Other exceptions pass.
template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace filigree::testing
