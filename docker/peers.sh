#!/bin/sh
# peers.sh FOLDER: makes every peer of `make conformance` ready, below FOLDER where it is ours to say. A peer that cannot be
# had on this machine is no failure: FOLDER/PEER.missing says why, and the table repeats it.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
folder=$(cd "$1" && pwd)

ready() { # ready PEER COMMAND...: runs the command, and keeps the end of what it says where it fails
    peer=$1
    shift
    rm -f "$folder/$peer.missing"
    { "$@" 2>&1 || echo "$?" >"$folder/$peer.failed"; } | tee "$folder/$peer.log"
    if [ -f "$folder/$peer.failed" ]; then
        rm "$folder/$peer.failed"
        { grep -m 1 -i -E 'error|cannot|needs' "$folder/$peer.log" || tail -n 1 "$folder/$peer.log"; } >"$folder/$peer.missing"
    fi
}

ready phase4 docker/java.sh phase4
ready asx "${CARGO:-cargo}" build --locked --manifest-path conformance/peers/asx/Cargo.toml --target-dir "$folder"
ready as4 docker/python.sh as4 "$folder/as4"
ready phoss docker/java.sh phoss
ready registry docker/registry.sh
