#!/bin/sh
# Checks the dependencies with cargo-deny; installs it first when it is missing, and says so.
set -eu
if ! cargo deny --version >/dev/null 2>&1; then
    echo "installing cargo-deny (once; about five minutes)"
    cargo install --quiet --locked cargo-deny
fi
exec cargo deny --workspace check licenses bans sources
