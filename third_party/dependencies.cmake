# Every dependency of Filigree, found in one place. See README.md beside this file for version,
# licence and reason. filigree_link_dependencies() says which folder uses which.

find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(Boost 1.74 REQUIRED COMPONENTS program_options)
find_package(SQLite3 REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(EIGEN3 REQUIRED IMPORTED_TARGET eigen3>=3.4)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)
if(FILIGREE_LINK_GRAMMAR)  # optional: without it `prepare --parse` is an error that says so
  pkg_check_modules(LINK_GRAMMAR IMPORTED_TARGET link-grammar>=5.10)
endif()
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)
if(FILIGREE_OPENBLAS)
  find_library(OPENBLAS_LIBRARY openblas
    HINTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp REQUIRED)
  find_path(OPENBLAS_INCLUDE_DIR cblas.h
    HINTS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
          /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} REQUIRED)
endif()
if(FILIGREE_TESTS)
  find_package(GTest REQUIRED)
  find_path(RAPIDCHECK_INCLUDE_DIR rapidcheck.h REQUIRED)
  find_library(RAPIDCHECK_LIBRARY rapidcheck REQUIRED)
endif()

function(filigree_link_dependencies)
  target_link_libraries(filigree_core
    PUBLIC fmt::fmt Threads::Threads
    PRIVATE OpenMP::OpenMP_CXX PkgConfig::XXHASH nlohmann_json::nlohmann_json
            $<BUILD_INTERFACE:PkgConfig::EIGEN3>)
  target_include_directories(filigree_core SYSTEM PRIVATE ${RANDOM123_INCLUDE_DIR})
  target_compile_options(filigree_core PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)
  if(FILIGREE_OPENBLAS)
    target_link_libraries(filigree_core PRIVATE ${OPENBLAS_LIBRARY})
    target_include_directories(filigree_core SYSTEM PRIVATE ${OPENBLAS_INCLUDE_DIR})
    target_compile_definitions(filigree_core PRIVATE EIGEN_USE_BLAS FILIGREE_OPENBLAS)
  endif()
  target_link_libraries(filigree_attention PRIVATE OpenMP::OpenMP_CXX
                        $<BUILD_INTERFACE:PkgConfig::EIGEN3>)
  target_compile_options(filigree_attention PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)
  if(FILIGREE_OPENBLAS)
    target_compile_definitions(filigree_attention PRIVATE EIGEN_USE_BLAS)
    target_link_libraries(filigree_attention PRIVATE ${OPENBLAS_LIBRARY})
  endif()
  target_link_libraries(filigree_nn PRIVATE nlohmann_json::nlohmann_json)
  target_link_libraries(filigree_tasks
    PUBLIC Boost::program_options
    PRIVATE PkgConfig::SENTENCEPIECE PkgConfig::ICU SQLite::SQLite3
            nlohmann_json::nlohmann_json)
  if(LINK_GRAMMAR_FOUND)
    target_link_libraries(filigree_tasks PRIVATE PkgConfig::LINK_GRAMMAR)
  endif()
endfunction()
# One of these two defines the parser.
if(LINK_GRAMMAR_FOUND)
  set_source_files_properties(tasks/syntax/link_parser_absent.cpp PROPERTIES HEADER_FILE_ONLY ON)
else()
  set_source_files_properties(tasks/syntax/link_parser.cpp PROPERTIES HEADER_FILE_ONLY ON)
endif()
