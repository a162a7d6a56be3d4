#!/usr/bin/env bash
# Installs what runs the firmware of boards that QEMU does not know, into target/emulators: rp2040js (npm) for the RP2040, and
# unicorn (PyPI) for the nRF52840. tests/emulators holds the scripts around them.
#
# Exit 0: both are there. Exit 3: this machine cannot have them; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FOLDER=$ROOT/target/emulators
RP2040JS=rp2040js@1.4.1
UNICORN=unicorn==2.1.4

STAMP=$FOLDER/.version
VERSION="$RP2040JS $UNICORN"
ready() { [ -e "$STAMP" ] && [ "$(cat "$STAMP")" = "$VERSION" ]; }

if ready; then
  say "ready: $VERSION"
  exit 0
fi
work_folder
one_at_a_time emulators
if ready; then exit 0; fi
rm -rf "$FOLDER"
mkdir -p "$FOLDER"

have node && have npm || apt_install nodejs npm || cannot "npm is needed to fetch $RP2040JS: install Node.js 18 or newer"
# A package.json of its own, or npm would look for one in the folders above.
echo '{"private": true}' >"$FOLDER/package.json"
npm install --prefix "$FOLDER" --silent --no-audit --no-fund --ignore-scripts "$RP2040JS" >"$WORK/npm.log" 2>&1 ||
  { tail -n 5 "$WORK/npm.log" >&2; cannot "npm could not install $RP2040JS"; }

python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
  cannot "pip is needed to fetch $UNICORN: apt-get install python3-pip"
python3 -m pip install --quiet --target "$FOLDER/python" "$UNICORN" >"$WORK/pip.log" 2>&1 ||
  { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install $UNICORN"; }

echo "$VERSION" >"$STAMP"
say "installed: $VERSION"
