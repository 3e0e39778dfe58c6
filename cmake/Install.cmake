# Install and package: find_package(Filigree) gives Filigree::core .. Filigree::tasks.

include(CMakePackageConfigHelpers)
foreach(folder core autograd attention nn tasks)
  install(DIRECTORY ${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/filigree/${folder}
          FILES_MATCHING PATTERN "*.h")
  install(TARGETS filigree_${folder} EXPORT FiligreeTargets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
install(EXPORT FiligreeTargets NAMESPACE Filigree::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Filigree)
configure_package_config_file(cmake/FiligreeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/FiligreeConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Filigree)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/FiligreeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/FiligreeConfig.cmake
              ${PROJECT_BINARY_DIR}/FiligreeConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/Filigree)
