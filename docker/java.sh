#!/bin/sh
# Installs Java and Maven when they are missing (as root or with sudo; else prints the list and stops), and builds the peers
# that are written in Java. Maven asks its registry only for what it has not resolved before.
set -eu
cd "$(dirname "$0")/.."

need=""
command -v javac >/dev/null 2>&1 || need="$need default-jdk-headless"
command -v mvn >/dev/null 2>&1 || need="$need maven"
if [ -n "$need" ]; then
    echo "make conformance needs these Debian packages:$need"
    if [ "$(id -u)" = 0 ]; then
        run=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        run="sudo"
    else
        echo "install them, then run this again:  sudo apt-get install --yes$need" >&2
        exit 1
    fi
    echo "installing them with apt-get"
    $run apt-get update -qq
    # shellcheck disable=SC2086
    $run env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends $need >/dev/null
fi

cd conformance/peers/phase4
jar=target/phase4-peer.jar
if [ -f "$jar" ] && [ -z "$(find pom.xml src -newer "$jar" -print -quit)" ]; then
    exit 0
fi
echo "building the phase4 peer with Maven"
mvn --quiet --batch-mode --offline package >/dev/null 2>&1 || mvn --quiet --batch-mode package
