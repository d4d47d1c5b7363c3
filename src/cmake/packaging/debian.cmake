# CPack runs this between installing into its staging directory and packing: what Debian's policy wants of documentation (12.1, 12.5, 12.7)
# and of static libraries (10.2), and where Debian's zsh looks.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(staging ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(program ${staging}/runtime/usr)
set(library ${staging}/development/usr)

file(GLOB pages ${program}/share/man/man1/*.1)
run(gzip -9n ${pages})
file(RENAME ${program}/share/zsh/site-functions ${program}/share/zsh/vendor-completions)

file(GLOB archives ${library}/lib/*.a ${library}/lib/*/*.a)
run(strip --strip-debug --remove-section=.comment --remove-section=.note --remove-section=.gnu.lto_* --enable-deterministic-archives ${archives})

# changelog.gz is ours, changelog.Debian.gz the package's.
set(doc ${program}/share/doc/tug)
set(version ${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
file(RENAME ${doc}/CHANGELOG.md ${doc}/changelog)
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(package IN ITEMS tug libtug-dev)
  set(changelog_${package} "${package} (${version}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
endforeach()
file(MAKE_DIRECTORY ${library}/share/doc/libtug-dev)
file(COPY ${doc}/copyright ${doc}/changelog DESTINATION ${library}/share/doc/libtug-dev)
file(WRITE ${doc}/changelog.Debian "${changelog_tug}")
file(WRITE ${library}/share/doc/libtug-dev/changelog.Debian "${changelog_libtug-dev}")
foreach(directory IN ITEMS ${doc} ${library}/share/doc/libtug-dev)
  run(gzip -9n ${directory}/changelog ${directory}/changelog.Debian)
endforeach()
