#!/usr/bin/env bash
# Unpacks ONNX's own node tests (a model, inputs and outputs for every case of every operator) to target/onnx-node-tests.
#
# They come with the Python package onnx 1.19.1 from PyPI; newer wheels have none. Nothing is installed.
# Exit 0: they are there. Exit 3: this machine cannot get them; the last line says what is missing.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

VERSION=1.19.1
PREFIX=onnx/backend/test/data/node/
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FOLDER=${CARGO_TARGET_DIR:-$ROOT/target}/onnx-node-tests
STAMP=$FOLDER/.version

have_tests() { [ -e "$STAMP" ] && [ "$(cat "$STAMP")" = "$VERSION" ]; }
count() { find "$FOLDER" -mindepth 1 -maxdepth 1 -type d | wc -l; }

if have_tests; then
  say "ready: $(count) cases of onnx $VERSION"
  exit 0
fi
work_folder
one_at_a_time onnx-node-tests
if have_tests; then exit 0; fi
python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
  cannot "pip is needed to fetch them: apt-get install python3-pip"
# The data is the same in every wheel: take one that is there, whatever machine and Python it is for.
python3 -m pip download --quiet --no-deps --only-binary :all: --implementation cp --abi cp312 --python-version 3.12 \
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --dest "$WORK" "onnx==$VERSION" >&2 ||
  cannot "pip could not download onnx $VERSION"

python3 - "$WORK"/onnx-*.whl "$PREFIX" "$FOLDER.new" <<'PYTHON'
import pathlib
import shutil
import sys
import zipfile

wheel, prefix, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(prefix) and not name.endswith("/"):
            path = pathlib.Path(folder, name.removeprefix(prefix))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
PYTHON
echo "$VERSION" >"$FOLDER.new/.version"
rm -rf "$FOLDER"
mv "$FOLDER.new" "$FOLDER"
say "unpacked $(count) cases of onnx $VERSION"
