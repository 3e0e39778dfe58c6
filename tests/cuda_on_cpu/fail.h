// What ends a program whose kernel does what a GPU would not survive, or would not say.
#pragma once

namespace cuda_on_cpu {

/// Says where in the grid it was, and aborts.
[[noreturn]] void fail(const char* what);

}  // namespace cuda_on_cpu
