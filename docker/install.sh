#!/bin/sh
# install.sh WHO PACKAGE...: installs Debian packages as root or with sudo, and says which; else prints the list and stops.
set -eu

who=$1
shift
[ $# -gt 0 ] || exit 0
echo "$who needs these Debian packages: $*"
if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "install them, then run this again:  sudo apt-get install --yes $*" >&2
    exit 1
fi
echo "installing them with apt-get"
$run apt-get update -qq
$run env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "$@" >/dev/null
