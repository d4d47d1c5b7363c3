#!/bin/sh
# Builds tug and runs every test:
#   sh tests/run.sh [ctest options, e.g. -R system]
# Installs the packages that are missing (as root, or through sudo). Works from any directory, again and again.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
log=$root/build/run.log
mkdir -p "$root/build"
finish() {
  status=$?
  # Run as root in somebody's tree: the next run may be theirs.
  [ "$(id -u)" != 0 ] || chown -R --reference="$root" "$root/build"
  exit "$status"
}
trap finish EXIT
say() { echo "run: $*"; }

# quietly WORD COMMAND...: the output goes to the log, and to the screen when it fails.
quietly() {
  say "$1"
  shift
  if ! "$@" >>"$log" 2>&1; then
    tail -n 60 "$log"
    say "FAILED; the whole log is $log"
    exit 1
  fi
}

: >"$log"
cd "$root"
say "checking for the Debian packages that are needed"
sh third_party/install.sh build demo test 2>>"$log" || {
  tail -n 60 "$log"
  say "FAILED; the whole log is $log"
  exit 1
}
quietly "configuring the release preset" cmake --preset release -DTUG_BUILD_TESTS=ON
quietly "building (the log is $log)" cmake --build --preset release
say "testing"
ctest --preset release --no-tests=error -j2 "$@"
