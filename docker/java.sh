#!/bin/sh
# java.sh PEER: builds a peer that is written in Java. Installs Java and Maven when they are missing (as root or with sudo;
# else prints the list and stops). Maven asks its registry only for what it has not resolved before.
set -eu
cd "$(dirname "$0")/.."

need=""
command -v javac >/dev/null 2>&1 || need="$need default-jdk-headless"
command -v mvn >/dev/null 2>&1 || need="$need maven"
# shellcheck disable=SC2086
docker/install.sh "the $1 peer" $need

cd "conformance/peers/$1"
jar=target/$1-peer.jar
if [ -f "$jar" ] && [ -z "$(find pom.xml src -newer "$jar" -print -quit)" ]; then
    exit 0
fi
echo "building the $1 peer with Maven"
mvn --quiet --batch-mode --offline package >/dev/null 2>&1 || mvn --quiet --batch-mode package
