#!/bin/sh
# Installs the Debian packages of packages.txt that are missing.
#   sh third_party/install.sh [--print] [GROUP...]      groups: build (default), static, demo, test, package, sanitize
# Debian 12 only; as root, or as a user who may use sudo. Does nothing, without the network, when nothing is missing.
# --print: only prints what is missing, one package a line. apt's own output goes to stderr.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
print=false
if [ "${1:-}" = --print ]; then
  print=true
  shift
fi
[ $# -gt 0 ] || set -- build

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

for group; do
  grep -q "^$group " "$here/packages.txt" || fail "no group '$group' in packages.txt"
done
packages=$(for group; do sed -n "s/^$group //p" "$here/packages.txt"; done | sort -u)

missing=
for package in $packages; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=none
  [ "$status" = installed ] || missing="$missing $package"
done

if $print; then
  for package in $missing; do echo "$package"; done
  exit 0
fi
if [ -z "$missing" ]; then
  echo "install.sh: all packages of [$*] are installed"
  exit 0
fi

version=$(. /etc/os-release && echo "${ID:-?} ${VERSION_ID:-?}")
[ "$version" = "debian 12" ] || fail "these are the packages of Debian 12, and this is $version; missing:$missing"
if [ "$(id -u)" = 0 ]; then
  as_root() { env "$@"; }
elif command -v sudo >/dev/null; then
  as_root() { sudo env "$@"; }
else
  fail "must be root, or have sudo, to install:$missing"
fi

# docker-registry would be started as a service on every address, port 5000. Only the program is wanted: the usual
# policy file (invoke-rc.d(8)) forbids starts while we install, unless the machine has a policy of its own.
policy=/usr/sbin/policy-rc.d
remove_policy() { as_root rm -f "$policy"; }
if [ ! -e "$policy" ]; then
  trap remove_policy EXIT
  trap 'exit 130' INT TERM
  # shellcheck disable=SC2016
  as_root sh -c 'printf "#!/bin/sh\nexit 101\n" > "$0" && chmod 755 "$0"' "$policy"
fi

echo "install.sh: installing$missing"
as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 update >&2
# shellcheck disable=SC2086
as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >&2
