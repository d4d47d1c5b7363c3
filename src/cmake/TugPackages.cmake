# Packages, by `cpack` in the build directory: of a release tug_V_ARCH.deb (the program) and libtug-dev_V_ARCH.deb (the library), of the
# static build tug-V-linux-ARCH.tar.gz. What Debian wants otherwise than `cmake --install` does it, packaging/debian.cmake does.
set(TUG_MAINTAINER "The tug developers <tug@localhost.invalid>" CACHE STRING "Maintainer of the .deb packages")

set(packaging ${CMAKE_CURRENT_LIST_DIR}/packaging)
# Whose code is in the program: libraries that are only headers, and in the static build all of them. Their licences want to be said.
set(compiled_in libcxxopts-dev nlohmann-json3-dev libtomlplusplus-dev libfmt-dev)
if(TUG_STATIC)
  list(APPEND compiled_in libc6-dev libstdc++-12-dev libcurl4-openssl-dev libssl-dev libc-ares-dev libdeflate-dev libisal-dev libzstd-dev
    zlib1g-dev libsqlite3-dev libyaml-cpp-dev libre2-dev libarchive-dev libbz2-dev liblzma-dev)
endif()
file(READ ${packaging}/copyright copyright)
foreach(package IN LISTS compiled_in)
  if(EXISTS /usr/share/doc/${package}/copyright)
    file(READ /usr/share/doc/${package}/copyright text)
    string(APPEND copyright "\n\n==== ${package}\n\n${text}")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/copyright CONTENT "@copyright@" @ONLY)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_BINARY_DIR}/copyright
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)

set(CPACK_PACKAGE_NAME tug)
set(CPACK_PACKAGE_CONTACT ${TUG_MAINTAINER})
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
if(TUG_STATIC)
  set(CPACK_GENERATOR TGZ)
  set(CPACK_PACKAGE_FILE_NAME tug-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
else()
  set(CPACK_GENERATOR DEB)
  set(CPACK_PRE_BUILD_SCRIPTS ${packaging}/debian.cmake)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_COMPONENTS_GROUPING IGNORE)
  set(CPACK_COMPONENTS_ALL runtime development)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
  set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

  set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME tug)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION admin)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS ca-certificates)
  set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "pushes and copies container images to registries
tug reads an image from the local store of podman and buildah, or from an
OCI image layout, and pushes it to a registry, with nothing else installed.
It takes skopeo's flags and answers with skopeo's exit codes, sends only
what the registry does not have, and never changes a digest.")

  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtug-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libarchive-dev, libcurl4-openssl-dev, libdeflate-dev, libfmt-dev, libisal-dev, libsqlite3-dev, libssl-dev, \
libstdc++-12-dev, libyaml-cpp-dev, libzstd-dev, zlib1g-dev")
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_RECOMMENDS pkg-config)
  set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "tug's library to push and copy container images
The static library, its C++20 headers, tug.pc and a CMake package of tug,
which pushes and copies container images to registries.")
endif()
include(CPack)
