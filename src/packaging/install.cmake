# What `cmake --install` puts where.
include(CMakePackageConfigHelpers)

set(TIDEWIRE_LUA_CDIR ${CMAKE_INSTALL_LIBDIR}/lua/5.4 CACHE STRING "Where Lua finds tidewire.so")

install(TARGETS tidewire EXPORT tidewire_targets)
install(TARGETS tidewire_static)
install(TARGETS tidewire_module LIBRARY DESTINATION ${TIDEWIRE_LUA_CDIR})
if(TARGET tidewire_command)
  install(TARGETS tidewire_command)
endif()
install(FILES ${PROJECT_SOURCE_DIR}/src/tidewire.h TYPE INCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/lua/tidewire/meta DESTINATION
        ${CMAKE_INSTALL_DATADIR}/tidewire)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts TYPE DOC)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
        ${PROJECT_SOURCE_DIR}/CHANGELOG.md TYPE DOC)
install(FILES ${PROJECT_SOURCE_DIR}/docs/tidewire.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tidewire)
install(EXPORT tidewire_targets NAMESPACE tidewire:: FILE tidewire-targets.cmake
        DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tidewire-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/tidewire-config.cmake INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/tidewire-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tidewire-config.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/tidewire-config-version.cmake DESTINATION ${package_dir})

# Relative to itself, so that `cmake --install --prefix` may put it anywhere.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(${CMAKE_CURRENT_LIST_DIR}/tidewire.pc.in tidewire.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tidewire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
