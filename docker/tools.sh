#!/bin/sh
# Installs what the build and the tests need besides git, Rust and a C compiler: as root or with sudo; else prints the list and stops.
set -eu

need=""
want() { # want PACKAGE TEST...: the package, unless the test succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || need="$need $package"
}

if ! command -v cargo >/dev/null 2>&1; then
    echo "tilts needs Rust (cargo): install it from https://rustup.rs, then run this again" >&2
    exit 1
fi
want gcc sh -c 'command -v cc'
want g++ sh -c 'command -v c++'
want pkg-config sh -c 'command -v pkg-config'
want libssl-dev sh -c 'pkg-config --exists openssl || test -e /usr/include/openssl/ssl.h'
want openssl sh -c 'command -v openssl'
want python3 sh -c 'command -v python3'
want libxml2-utils sh -c 'command -v xmllint'
want postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
want xmlsec1 sh -c 'command -v xmlsec1'
# shellcheck disable=SC2086
exec "$(dirname "$0")/install.sh" tilts $need
