# One library a folder, with the allowed arrows as link dependencies.

add_library(filigree_options INTERFACE)
target_compile_features(filigree_options INTERFACE cxx_std_20)
target_compile_options(filigree_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;$<$<BOOL:${FILIGREE_WERROR}>:-Werror>>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra$<$<BOOL:${FILIGREE_WERROR}>:,-Werror>>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${FILIGREE_NATIVE}>>:-march=native>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms of GCC 12 in std::string (PR105329) , its AVX-512 header (PR105593)
  # and loops whose count is a run-time int64_t.
  target_compile_options(filigree_options INTERFACE 
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict;-Wno-maybe-uninitialized;-Wno-aggressive-loop-optimizations>)
endif()
if(FILIGREE_SANITIZE)
  target_compile_options(filigree_options INTERFACE
    -fsanitize=${FILIGREE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(filigree_options INTERFACE -fsanitize=${FILIGREE_SANITIZE})
endif()

# filigree_library(NAME DEPENDS folders...): every .cpp below NAME/ becomes filigree_NAME.
function(filigree_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cpp)
  set(target filigree_${name})
  if(NOT sources)
    file(WRITE ${PROJECT_BINARY_DIR}/generated/${name}_empty.cpp "")
    set(sources ${PROJECT_BINARY_DIR}/generated/${name}_empty.cpp)
  endif()
  add_library(${target} STATIC ${sources})
  add_library(Filigree::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/filigree>)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:filigree_options>)
  foreach(dependency ${ARG_DEPENDS})
    target_link_libraries(${target} PUBLIC filigree_${dependency})
  endforeach()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  filigree_cuda_stubs(${target} ${name})
endfunction()
