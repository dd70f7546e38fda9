# What `cmake --install` leaves: libraries, headers, the command, manual pages, a pkg-config file, a
# CMake package.
include(CMakePackageConfigHelpers)

install(TARGETS slabmalloc slabmalloc_static EXPORT slabmalloc-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/slabmalloc DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES docs/man/slabmalloc.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
install(FILES docs/man/slabmalloc.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(PROGRAMS tools/slabmalloc DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(DIRECTORY tools/slabmalloc_lib DESTINATION ${CMAKE_INSTALL_DATADIR}/slabmalloc
  FILES_MATCHING PATTERN "*.py")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/slabmalloc)
install(EXPORT slabmalloc-targets NAMESPACE slabmalloc:: DESTINATION ${package_dir})
configure_package_config_file(cmake/slabmalloc-config.cmake.in slabmalloc-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(slabmalloc-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/slabmalloc-config.cmake
  ${PROJECT_BINARY_DIR}/slabmalloc-config-version.cmake DESTINATION ${package_dir})

# From the folder of the .pc file up to the prefix, however deep the library folder is.
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/slabmalloc.pc.in slabmalloc.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/slabmalloc.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# All of it as a Debian package: cpack -G DEB --config build/release/CPackConfig.cmake -B build
if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME slabmalloc)
  set(CPACK_PACKAGE_CONTACT "slabmalloc")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3, binutils") # the command; addr2line
  set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"For programs that are linked with it, or started with it in LD_PRELOAD. Double, invalid and
interior frees are diagnosed, by default; the heap can be looked into while it runs: statistics,
leaks, call stacks, a profile, a log of events. slabmalloc(1) runs a program on it.")
  include(CPack)
endif()
