#!/bin/sh
# peers.sh FOLDER [PEER...]: makes every peer of `make conformance` ready, or those that are named, below FOLDER where it is
# ours to say. A peer that cannot be had on this machine is no failure: FOLDER/PEER.missing says why, and the table repeats it.
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- phase4 asx as4 phoss registry

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

asx() { # asx [OPTION...]: builds our program around asx-rs
    "${CARGO:-cargo}" build --locked --manifest-path conformance/peers/asx/Cargo.toml --target-dir "$folder" "$@"
}

for peer; do
    case $peer in
    phase4 | phoss) ready "$peer" docker/java.sh "$peer" ;;
    asx) ready asx asx ;;
    asx-release) ready asx-release asx --release ;;
    as4) ready as4 docker/python.sh as4 "$folder/as4" ;;
    registry) ready registry docker/registry.sh ;;
    *) echo "peers.sh knows no $peer" >&2 && exit 2 ;;
    esac
done
