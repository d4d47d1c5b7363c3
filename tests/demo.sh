#!/bin/sh
# One command from a fresh Debian 12 machine to an image in a real registry:
#   sh tests/demo.sh
# Installs the packages that are missing (as root, or through sudo), builds tug, starts Debian's docker-registry on a free loopback
# port, pushes a small image of fixtures/ with tug, reads it back, and stops the registry. Works from any directory, again and again.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/release
log=$root/build/demo.log
image=$root/fixtures/hello
work=''
registry=''
mkdir -p "$root/build"
: >"$log"

# fd 3 is what the person sees; everything else goes to the log.
exec 3>&1 >>"$log" 2>&1
show() { while IFS= read -r line; do printf '%s\n' "$line" && printf '%s\n' "$line" >&3; done; }
say() { echo "demo: $*" | show; }

finish() {
  status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$registry" ]; then
    kill "$registry" 2>/dev/null || true
    wait "$registry" 2>/dev/null || true
  fi
  if [ "$status" != 0 ]; then
    [ ! -s "$work/registry.log" ] || { echo "--- the registry's log"; tail -n 20 "$work/registry.log"; }
    echo "demo: FAILED; the end of $log:" >&3
    tail -n 25 "$log" >&3
    echo "demo: the whole log is $log" >&3
  fi
  rm -rf "$work"
  # Run as root in somebody's tree: the next run may be theirs.
  [ "$(id -u)" != 0 ] || chown -R --reference="$root" "$root/build"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
work=$(mktemp -d)

say "checking for the Debian packages that are needed"
sh "$root/third_party/install.sh" build demo >&3

say "building tug with the release preset (the log is $log)"
cd "$root"
cmake --preset release -DTUG_BUILD_TESTS=OFF
cmake --build --preset release --target tug-cli

say "starting Debian's docker-registry"
cat >"$work/config.yml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $work/storage}}
http: {addr: "127.0.0.1:0"}
YAML
# The registry takes a free port by itself and logs which one. It ends with this shell, however this shell ends.
setpriv --pdeathsig TERM docker-registry serve "$work/config.yml" >"$work/registry.log" 2>&1 </dev/null &
registry=$!
address=
tries=0
while [ -z "$address" ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 300 ] || ! kill -0 "$registry"; then
    say "the registry did not start"
    exit 1
  fi
  sleep 0.1
  address=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$work/registry.log")
done
say "the registry listens on $address"

say "pushing oci:$image:1.0 to docker://$address/demo/hello:1.0"
"$build/tug" copy --dest-tls-verify=false --digestfile "$work/digest" "oci:$image:1.0" "docker://$address/demo/hello:1.0" >"$work/output"
sed 's/^/  /' "$work/output" | show
digest=$(cat "$work/digest")

say "reading it back from http://$address/v2/demo/hello/manifests/1.0"
get() { curl -fsS --noproxy '*' -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$address/v2/demo/hello/$1" -o "$2"; }
check() {
  found=sha256:$(sha256sum "$2" | cut -d' ' -f1)
  if [ "$found" != "$1" ]; then
    say "$1 came back as $found"
    exit 1
  fi
  echo "  $1  $(stat -c %s "$2") bytes, as sent" | show
}
get manifests/1.0 "$work/manifest"
check "$digest" "$work/manifest"
for blob in $(grep -o 'sha256:[0-9a-f]\{64\}' "$work/manifest"); do
  get "blobs/$blob" "$work/blob"
  check "$blob" "$work/blob"
done

say "done: docker://$address/demo/hello@$digest was pushed and read back; the registry is stopped now"
say "the program is $build/tug"
