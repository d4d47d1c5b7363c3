# The library for other programs: libtug.a, its headers, tug.pc and a CMake package. All of it is relative to where it stands, so that
# the installed tree may be moved.
if(NOT TUG_INSTALL_LIBRARY)
  return()
endif()
include(CMakePackageConfigHelpers)

# The pkg-config modules that the layers link; what is only headers is compiled in.
set(modules)
foreach(layer IN LISTS TUG_LAYERS)
  get_property(libs GLOBAL PROPERTY TUG_LINK_${layer})
  foreach(lib IN LISTS libs)
    get_property(module GLOBAL PROPERTY TUG_MODULE_${lib})
    list(APPEND modules ${module})
  endforeach()
endforeach()
list(REMOVE_DUPLICATES modules)
list(JOIN modules " " TUG_MODULES)

target_link_libraries(tug INTERFACE $<INSTALL_INTERFACE:PkgConfig::tug_modules> $<INSTALL_INTERFACE:Threads::Threads>)
install(TARGETS tug EXPORT tugTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tug DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN *.h)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tug)
install(EXPORT tugTargets NAMESPACE tug:: DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tugConfig.cmake.in ${PROJECT_BINARY_DIR}/tugConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tugConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tugConfig.cmake ${PROJECT_BINARY_DIR}/tugConfigVersion.cmake DESTINATION ${package_dir} COMPONENT development)

set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH TUG_PREFIX_FROM_PC /prefix/${pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" TUG_PREFIX_FROM_PC ${TUG_PREFIX_FROM_PC})
configure_file(${CMAKE_CURRENT_LIST_DIR}/tug.pc.in ${PROJECT_BINARY_DIR}/tug.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tug.pc DESTINATION ${pkgconfig_dir} COMPONENT development)
