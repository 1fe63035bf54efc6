#!/bin/sh
# registry.sh: installs what a registry of other people needs besides Java: PostgreSQL, Knot and unbound (as root or with sudo;
# else prints the list and stops). None of their services is started: they would take ports 53 and 5432, and nobody asked for
# them. The runner starts its own, as ordinary processes on loopback.
set -eu
cd "$(dirname "$0")"

need=""
found() { # found PACKAGE TEST...: the package is wanted unless the test succeeds
    package=$1
    shift
    "$@" >/dev/null 2>&1 || need="$need $package"
}
PATH=$PATH:/usr/sbin:/sbin
found postgresql sh -c 'ls /usr/lib/postgresql/*/bin/initdb'
found knot sh -c 'command -v knotd && command -v keymgr'
found unbound sh -c 'command -v unbound'
[ -n "$need" ] || exit 0

run=""
[ "$(id -u)" = 0 ] || run="sudo -n"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] && $run true 2>/dev/null; then
    # Debian's own way to say that an installation starts no service.
    printf '#!/bin/sh\nexit 101\n' | $run tee $policy >/dev/null
    $run chmod +x $policy
    trap '$run rm -f $policy' EXIT
fi
# shellcheck disable=SC2086
./install.sh "make conformance" $need
if [ -d /run/systemd/system ]; then
    # Nor at the next start of the machine.
    $run systemctl disable --quiet $need 2>/dev/null || true
fi
