# How other builds find an installed library: a package for CMake, a file for pkg-config.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/oxide_xla)
set(oxide_shared_name ${CMAKE_SHARED_LIBRARY_PREFIX}oxide_xla${CMAKE_SHARED_LIBRARY_SUFFIX})
set(oxide_static_name ${CMAKE_STATIC_LIBRARY_PREFIX}oxide_xla${CMAKE_STATIC_LIBRARY_SUFFIX})
set(oxide_soname ${oxide_shared_name}.${OXIDE_XLA_ABI})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/oxide_xlaConfig.cmake.in
  ${PROJECT_BINARY_DIR}/oxide_xlaConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/oxide_xlaConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/oxide_xlaConfig.cmake
              ${PROJECT_BINARY_DIR}/oxide_xlaConfigVersion.cmake
        DESTINATION ${package_dir})

# From where the .pc file lies to the prefix, so that the whole may be moved.
file(RELATIVE_PATH prefix_from_pc /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})
configure_file(${PROJECT_SOURCE_DIR}/cmake/oxide_xla.pc.in
               ${PROJECT_BINARY_DIR}/oxide_xla.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/oxide_xla.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
