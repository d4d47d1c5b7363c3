#!/bin/sh
# cpu_determinism.sh PROGRAM: compressed bytes must not depend on the CPU's instructions (design 9).
# Runs compress_digests here and on emulated CPUs without AVX2 and without AVX-512.
set -eu
program=$1
if [ "$(uname -m)" != x86_64 ]; then
  echo "skipped: only x86-64 has the levels that could differ"
  exit 77
fi
if ! command -v qemu-x86_64 >/dev/null; then
  echo "skipped: qemu-x86_64 is not installed (Debian package qemu-user)"
  exit 77
fi
native=$("$program")
echo "native:"
echo "$native"
status=0
for cpu in Nehalem Haswell; do
  # qemu warns on stderr about features that it does not emulate.
  emulated=$(qemu-x86_64 -cpu $cpu "$program" 2>/dev/null)
  if [ "$emulated" = "$native" ]; then
    echo "$cpu: the same"
  else
    echo "$cpu: differs:"
    echo "$emulated"
    status=1
  fi
done
exit $status
