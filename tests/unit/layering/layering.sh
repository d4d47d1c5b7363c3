#!/bin/sh
# The layering test (design 4): who may include what, read from the #include lines.
#   layering.sh ROOT        checks include/ and src/ of ROOT, prints each violation, exits 1 if there is one
#   layering.sh --self-test checks that each rule finds what it is there for
set -eu
export LC_ALL=C

# Each line of stdin is "path:number:#include …", the path relative to the root.
check_includes() {
  awk -F: '
    BEGIN {
      # 1. A layer includes itself and what stands left of it.
      count = split("base oci stream http registry transport copy step cli", names, " ")
      for (i = 1; i <= count; ++i) order[names[i]] = i

      # 2. One file of a layer knows the API of a library: which files those are. Elsewhere the library is invisible.
      library("curl/", "src/http/client.cc src/http/curl_loop.cc")
      library("nlohmann/", "src/oci/json.cc")
      library("openssl/", "src/base/hash.cc src/http/client.cc src/http/trust_store.cc")
      library("toml", "src/oci/toml.cc")
      library("yaml-cpp/", "src/step/yaml.cc")
      library("sqlite3.h", "src/copy/blob_info_cache.cc")
      library("archive", "src/stream/tar.cc src/stream/archive.cc")
      library("libdeflate.h", "src/stream/*.cc")
      library("isa-l", "src/stream/*.cc")
      library("zstd", "src/stream/*.cc")
      library("zlib.h", "src/stream/*.cc")
      library("cxxopts.hpp", "src/cli/*.cc")
      library("re2/", "src/cli/tag_pattern.cc")
      library("fmt/", "*.cc")
      library("doctest/", "")
      shared["fmt/"] = shared["openssl/"] = 1  # more than one file of a layer may

      # 3. Folders of the system: everything else with a folder is a library that must be in the list above.
      split("sys linux netinet arpa net bits asm", system_folders, " ")
      for (i in system_folders) is_system[system_folders[i]] = 1
    }
    function library(prefix, files) { allowed[prefix] = files; libraries[++library_count] = prefix }
    function bad(why) { print where ": " why; failed = 1 }
    function is_allowed(path, files,   list, n, i, star) {
      n = split(files, list, " ")
      for (i = 1; i <= n; ++i) {
        star = index(list[i], "*")
        if (!star && path == list[i]) return 1
        if (star && index(path, substr(list[i], 1, star - 1)) == 1 && path ~ /\.cc$/) return 1
      }
      return 0
    }
    function check_layer(header,   other) {
      other = header
      sub(/\/.*/, "", other)
      if (other == "tug") return
      if (!(other in order)) bad("includes \"" header "\", which is in no layer")
      else if (!(layer in order)) bad("stands in no layer")
      else if (order[other] > order[layer]) bad(layer " includes " header ": the layer " other " stands above it")
    }
    function check_library(header,   i, prefix, folder, key) {
      for (i = 1; i <= library_count; ++i) {
        prefix = libraries[i]
        if (index(header, prefix) != 1) continue
        if (!is_allowed(path, allowed[prefix])) bad("includes <" header ">: only " (allowed[prefix] == "" ? "tests" : allowed[prefix]) " may")
        key = prefix " " layer
        if (!(prefix in shared) && key in user && user[key] != path) bad("includes <" header ">: in this layer " user[key] " knows that library")
        user[key] = path
        return
      }
      folder = header
      if (sub(/\/.*/, "", folder) && !(folder in is_system)) bad("includes <" header ">: a library that is not in the list of this test")
    }
    {
      path = $1
      where = $1 ":" $2
      layer = path
      public = sub(/^include\/tug\/.*/, "", layer)
      sub(/^src\//, "", layer)
      sub(/\/.*/, "", layer)
      line = $0
      sub(/^[^:]*:[^:]*:/, "", line)
      if (match(line, /"[^"]*"/)) {
        header = substr(line, RSTART + 1, RLENGTH - 2)
        if (public) { if (header !~ /^tug\/[a-z0-9_]+\.h$/) bad("a public header includes \"" header "\"") }
        else check_layer(header)
      } else if (match(line, /<[^>]*>/)) {
        header = substr(line, RSTART + 1, RLENGTH - 2)
        if (public) { if (header !~ /^[a-z_0-9]+$/) bad("a public header includes <" header ">: only the standard library may") }
        else if (header !~ /^tug\//) check_library(header)
      } else {
        bad("has an #include that this test cannot read")
      }
    }
    END { exit failed || NR == 0 }
  '
}

check_tree() {
  (cd "$1" && find include src -name '*.h' -o -name '*.cc' | sort | xargs grep -HnE '^[[:space:]]*#[[:space:]]*include' | check_includes)
}

self_test() {
  failures=0
  while read -r expected path include; do
    if printf '%s:1:#include %s\n' "$path" "$include" | check_includes >/dev/null; then found=good; else found=bad; fi
    if [ "$found" != "$expected" ]; then
      echo "$path with $include is $found, not $expected"
      failures=1
    fi
  done <<'CASES'
good src/oci/a.cc "base/fd.h"
good src/oci/a.cc "oci/a.h"
good src/cli/main.cc "step/a.h"
good src/base/fd.cc <tug/error.h>
good src/base/fd.cc "tug/error.h"
good src/base/fd.cc <sys/stat.h>
good src/base/fd.cc <fcntl.h>
good src/base/fd.cc <string>
good src/http/client.cc <curl/curl.h>
good src/base/hash.cc <openssl/evp.h>
good src/copy/plan.cc <fmt/format.h>
good include/tug/a.h "tug/b.h"
good include/tug/a.h <stop_token>
bad src/base/a.cc "oci/json.h"
bad src/oci/a.cc "stream/tar.h"
bad src/stream/a.cc "http/client.h"
bad src/http/a.h "registry/host.h"
bad src/registry/a.cc "transport/open.h"
bad src/transport/a.cc "copy/plan.h"
bad src/copy/a.cc "step/a.h"
bad src/step/a.cc "cli/a.h"
bad src/base/a.cc "fd.h"
bad src/other/a.cc "base/fd.h"
bad src/cli/a.cc "support/temp_dir.h"
bad src/registry/host.cc <curl/curl.h>
bad src/http/client.h <curl/curl.h>
bad src/oci/manifest.cc <nlohmann/json.hpp>
bad src/http/url.cc <openssl/ssl.h>
bad src/copy/plan.h <fmt/format.h>
bad src/base/a.cc <doctest/doctest.h>
bad src/base/a.cc <boost/asio.hpp>
bad src/base/a.cc MACRO
bad include/tug/a.h "base/fd.h"
bad include/tug/a.h <fcntl.h>
bad include/tug/a.h <tug/b.h>
bad include/tug/a.h <fmt/format.h>
CASES
  if printf '%s\n' 'src/stream/a.cc:1:#include <zlib.h>' 'src/stream/b.cc:1:#include <zlib.h>' | check_includes >/dev/null; then
    echo "two files of a layer with one library are good, not bad"
    failures=1
  fi
  return $failures
}

if [ "$1" = --self-test ]; then self_test; else check_tree "$1"; fi
