#!/usr/bin/env bash
# Runs a command beside a PostgreSQL cluster of its own on a free loopback port, named by TILTS_TEST_POSTGRES; removes it after.
# PostgreSQL refuses to be root: then it is the user that its package made.
set -euo pipefail

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ]; then
  echo "left out for want of PostgreSQL (Debian package postgresql): $*" >&2
  exit 0
fi
folder=$(mktemp -d /tmp/tilts-postgres.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  as=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$folder"
}
trap stop EXIT
cd "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust --no-sync -E UTF8 --locale=C.UTF-8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
  -o "-h 127.0.0.1 -p $port -k $folder -c max_connections=400" start >/dev/null
cd - >/dev/null
export TILTS_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port"
"$@"
