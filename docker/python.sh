#!/bin/sh
# python.sh PEER FOLDER: makes a virtual environment in FOLDER with exactly the packages that a peer written in Python
# names in its requirements.txt. Installs Python's venv module when it is missing (as root or with sudo; else stops).
set -eu
peer=$(dirname "$0")/../conformance/peers/$1
folder=$2

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "the $1 peer needs Python 3.11 or later" >&2
    exit 1
fi
python3 -c 'import ensurepip, venv' 2>/dev/null || "$(dirname "$0")/install.sh" "make conformance" python3-venv

if cmp -s "$peer/requirements.txt" "$folder/requirements.txt"; then
    exit 0
fi
echo "installing the $1 peer with pip"
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$peer/requirements.txt"
cp "$peer/requirements.txt" "$folder/"
