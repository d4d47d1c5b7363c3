#!/bin/sh
# The performance table of README.md: tug beside whatever of skopeo, crane, oras and buildah is on this machine, in turn.
#   sh tests/bench/compare.sh [--runs N] [--quick] [--tug PATH] [--work DIR] [--markdown FILE] [SCENARIO ...]
# Scenarios (default all): layout unchanged store store-zstd store-warm latency latency-tls bulk registries archive store-oci to-store.
# The table goes to FILE, or to standard output after everything else. --quick does very little work: to see that everything runs. Takes
# half an hour and 30 GB in --work (default: where temporary files go), on a machine that has nothing else to do. It needs
# docker-registry; tug is build/release/tug.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
command="sh tests/bench/compare.sh${*:+ $*}"
scenarios='layout unchanged store store-zstd store-warm latency latency-tls bulk registries archive store-oci to-store'
markdown='--markdown -'
takes_value=''
for word in "$@"; do
  if [ -n "$takes_value" ]; then
    takes_value=''
    continue
  fi
  case $word in
    --markdown) markdown='' takes_value=1 ;;
    --markdown=*) markdown='' ;;
    --runs | --tug | --work) takes_value=1 ;;
    -*) ;;
    *) scenarios='' ;;
  esac
done
# shellcheck disable=SC2086 # words
exec python3 "$here/bench.py" --command "$command" $markdown "$@" $scenarios
