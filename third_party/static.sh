#!/bin/sh
# Builds tug as one file that needs no shared library, and a .tar.gz of it with its manual pages and completions:
#   sh third_party/static.sh
# Installs the packages that are missing (as root, or through sudo), builds a small libcurl, a small SQLite and ISA-L from Debian's own
# source packages, and tug with the CMake preset `static`. Works from any directory, again and again: the libraries are built once, and then
# nothing needs the network. `rm -r build/static` starts anew, e.g. when Debian has a newer libcurl.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/static
libraries=$build/libs
log=$root/build/static.log
flags='-fPIE -fstack-protector-strong -fcf-protection'
work=''
mkdir -p "$build"
: >"$log"

# fd 3 is what the person sees; everything else goes to the log.
exec 3>&1 >>"$log" 2>&1
say() { echo "static: $*" && echo "static: $*" >&3; }

finish() {
  status=$?
  trap - EXIT INT TERM HUP
  [ -z "$work" ] || rm -rf "$work"
  # The log is for showing to others; which hosts this machine's apt is configured for is not.
  sed -Ei "s#(://|resolving '|connect to |Connecting to )[^/:' ]+#\\1...#g" "$log"
  if [ "$status" != 0 ]; then
    echo "static: FAILED; the end of $log:" >&3
    tail -n 25 "$log" >&3
    echo "static: the whole log is $log" >&3
  fi
  # Run as root in somebody's tree: the next run may be theirs.
  [ "$(id -u)" != 0 ] || chown -R --reference="$root" "$root/build"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The machine's own apt entries, as entries for source packages, in $work/parts. /etc/apt is only read.
derive_apt_entries() {
  mkdir -p "$work/parts"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -f "$file" ] || sed -En 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" >"$work/parts/$(basename "$file" .list).list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$file" ] || sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$work/parts/$(basename "$file")"
  done
}

apt_for_sources() {
  apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# $work/curl, $work/isal and $work/sqlite, with Debian's patches. apt accepts only files whose hashes a signed index names.
fetch_sources() {
  derive_apt_entries
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
  # Another vendor's entry may have no source packages; what counts is that these three are found.
  apt_for_sources update || true
  (cd "$work/source" && apt_for_sources source --only-source curl libisal sqlite3)
  mv "$work/source"/curl-*/ "$work/curl"
  mv "$work/source"/libisal-*/ "$work/isal"
  mv "$work/source"/sqlite3-*/ "$work/sqlite"
}

build_curl() {
  cmake -S "$work/curl" -B "$work/curl-build" -G Ninja -C "$root/third_party/static_curl.cmake" -DCMAKE_INSTALL_PREFIX="$libraries"
  cmake --build "$work/curl-build"
  DESTDIR="$work/installed" cmake --install "$work/curl-build"
  # CMake wrote the paths of shared libraries into it.
  # shellcheck disable=SC2016
  sed -i -e 's/^Libs:.*/Libs: -L${libdir} -lcurl/' -e 's/^Libs\.private:.*/Requires.private: libssl libcrypto libcares zlib/' \
    "$work/installed$libraries/lib/pkgconfig/libcurl.pc"
}

# Only what tug uses; the headers are libisal-dev's.
build_isal() {
  make -C "$work/isal" -f Makefile.unx -j"$(nproc)" units=igzip CFLAGS_="$flags" lib
  install -m 644 "$work/isal/bin/isa-l.a" "$work/installed$libraries/lib/libisal.a"
}

# Debian's archive has every extension that SQLite knows (full text, trees, mathematics): 0.8 MB, and tug has one small cache. What is left
# out has to be known when the parser is made, too.
build_sqlite() {
  cd "$work/sqlite"
  without=''
  for part in LOAD_EXTENSION JSON DEPRECATED PROGRESS_CALLBACK SHARED_CACHE WINDOWFUNC UTF16 TRACE AUTHORIZATION DECLTYPE EXPLAIN GET_TABLE \
    COMPLETE TCL_VARIABLE COMPILEOPTION_DIAGS ANALYZE INTEGRITY_CHECK INCRBLOB DATETIME_FUNCS DESERIALIZE; do
    without="$without -DSQLITE_OMIT_$part"
  done
  ./configure --prefix="$libraries"
  make sqlite3.c OPTS="$without"
  # shellcheck disable=SC2086
  cc -Os -DNDEBUG -D_FORTIFY_SOURCE=2 $flags $without -c sqlite3.c
  ar cr "$work/installed$libraries/lib/libsqlite3.a" sqlite3.o
  install -m 644 sqlite3.h "$work/installed$libraries/include"
  install -m 644 sqlite3.pc "$work/installed$libraries/lib/pkgconfig"
}

say "checking for the Debian packages that are needed"
sh "$root/third_party/install.sh" build static

if [ ! -e "$libraries" ]; then
  work=$(mktemp -d "$build/work.XXXXXX")
  say "fetching Debian's source packages of libcurl, ISA-L and SQLite (the log is $log)"
  fetch_sources
  say "building a small libcurl: HTTP and HTTPS only"
  build_curl
  say "building ISA-L"
  build_isal
  say "building a small SQLite"
  build_sqlite
  mv "$work/installed$libraries" "$libraries"  # all of it or nothing
fi

say "building tug with the static preset"
cd "$root"
cmake --preset static
cmake --build --preset static --target tug-cli tug-docs

say "checking that it needs no shared library"
! readelf --dynamic --program-headers "$build/tug" | grep -E 'NEEDED|INTERP' || exit 1
"$build/tug" --version
say "$build/tug, $(stat -c %s "$build/tug") bytes"

say "packing it with manual pages and completions"
rm -f "$build"/tug-*.tar.gz
(cd "$build" && cpack)
say "$(ls "$build"/tug-*.tar.gz)"
