# CUDA twins of the raw kernels: x_cuda.cu where it exists and CUDA is on, else generated stubs.
#
# Every line FILIGREE_KERNEL(name, (parameters), (arguments)) of a folder's kernels/x.h declares
# kernels::cuda::name. Where x_cuda.cu is not built, a stub that throws DeviceError is generated from
# that line, so that nothing above the kernels knows whether CUDA is there.
#
# FILIGREE_CUDA=emulated compiles the same .cu files with the C++ compiler against
# tests/cuda_on_cpu, which runs them on the CPU: for tests on machines without a GPU.

set_property(CACHE FILIGREE_CUDA PROPERTY STRINGS OFF ON emulated)
if(NOT FILIGREE_CUDA MATCHES "^(OFF|ON|emulated)$")
  message(FATAL_ERROR "FILIGREE_CUDA is OFF, ON or emulated, not ${FILIGREE_CUDA}")
endif()
if(FILIGREE_CUDA STREQUAL "emulated")
  find_package(Boost 1.74 REQUIRED COMPONENTS context)
  file(GLOB emulator CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cuda_on_cpu/*.cpp)
  add_library(filigree_cuda_on_cpu STATIC ${emulator})
  target_link_libraries(filigree_cuda_on_cpu PRIVATE Boost::context)
elseif(FILIGREE_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90a)  # 90a: with Hopper's own instructions
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know nvcc's C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  find_package(CUDAToolkit REQUIRED)
  set(FILIGREE_HOPPER OFF)
  if(CMAKE_CUDA_ARCHITECTURES MATCHES "(^|;)90a(-real)?(;|$)")
    set(FILIGREE_HOPPER ON)
  else()
    message(STATUS "CUDA without wgmma, Hopper's tensor cores: -DCMAKE_CUDA_ARCHITECTURES=90a has it")
  endif()
endif()

# Compiles .cu files into a target.
function(filigree_cuda_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  target_include_directories(${target} SYSTEM PRIVATE ${RANDOM123_INCLUDE_DIR})
  if(FILIGREE_CUDA STREQUAL "emulated")
    # For these files alone: all others compile as in a build without CUDA, which ccache knows.
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX
      COMPILE_OPTIONS "-xc++;-Wno-unknown-pragmas"  # unroll is nvcc's
      INCLUDE_DIRECTORIES "${PROJECT_SOURCE_DIR}/tests/cuda_on_cpu"
      COMPILE_DEFINITIONS FILIGREE_SM_90A)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:filigree_cuda_on_cpu>)
  else()
    # constexpr functions of the host may be called on the device.
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "--expt-relaxed-constexpr")
    if(FILIGREE_HOPPER)
      set_source_files_properties(${ARGN} PROPERTIES COMPILE_DEFINITIONS FILIGREE_SM_90A)
    endif()
    target_link_libraries(${target} PUBLIC CUDA::cudart CUDA::cublas CUDA::cublasLt)
  endif()
endfunction()

# Stubs for the kernels that a header declares, appended to the variable `text`.
macro(filigree_kernel_stubs header)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
  file(READ ${header} content)
  string(REGEX MATCHALL "\nFILIGREE_KERNEL\\([a-z0-9_]+,[ \n]+\\([^)]*\\)" lines "${content}")
  if(lines)
    file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR} ${header})
    string(APPEND text "#include \"${relative}\"\nnamespace filigree::kernels::cuda {\n")
    foreach(line ${lines})
      string(REGEX MATCH "FILIGREE_KERNEL\\(([a-z0-9_]+),[ \n]+(\\([^)]*\\))" _ "${line}")
      string(APPEND text "void ${CMAKE_MATCH_1}${CMAKE_MATCH_2} { throw_no_cuda_kernel(\"${CMAKE_MATCH_1}\"); }\n")
    endforeach()
    string(APPEND text "}  // namespace filigree::kernels::cuda\n")
  endif()
endmacro()

function(filigree_cuda_stubs target folder)
  set(text "")
  file(GLOB own CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/cuda/*.cu)
  set(cuda_files "")
  if(FILIGREE_CUDA)
    file(GLOB parts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/kernels/cuda_*.cu)
    set(cuda_files ${own} ${parts})
  elseif(own)  # core/cuda
    string(APPEND text "#include \"core/device_backend.h\"\nnamespace filigree {\n"
      "DeviceBackend* cuda_backend() { return nullptr; }\n}  // namespace filigree\n")
  endif()
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/kernels/*.h)
  foreach(header ${headers})
    string(REGEX REPLACE "\\.h$" "_cuda.cu" twin ${header})
    if(FILIGREE_CUDA AND EXISTS ${twin})
      list(APPEND cuda_files ${twin})
    else()
      filigree_kernel_stubs(${header})
    endif()
  endforeach()
  if(cuda_files)
    filigree_cuda_sources(${target} ${cuda_files})
  endif()
  if(text)
    set(stubs ${PROJECT_BINARY_DIR}/generated/${folder}_cuda_stubs.cpp)
    file(CONFIGURE OUTPUT ${stubs} CONTENT "#include \"core/kernels/kernel.h\"\n${text}" @ONLY)
    set_source_files_properties(${stubs} PROPERTIES COMPILE_OPTIONS -Wno-unused-parameter)
    target_sources(${target} PRIVATE ${stubs})
  endif()
endfunction()
