#!/usr/bin/env bash
# Makes small decoders as different exporters write them, and lets ONNX Runtime compute their logits:
# target/language-models/NAME.onnx and NAME.npz, see language-models.py.
#
# Exit 0: all there. Exit 3: this machine cannot have them; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
FOLDER=${CARGO_TARGET_DIR:-$ROOT/target}/language-models
STAMP=$FOLDER/.version
VERSION=$(cat "$0" "$HERE/language-models.py" | cksum)

TOOLS=(onnxruntime==1.23.2 numpy==2.2.6 onnx==1.19.1)

ready() { [ -e "$STAMP" ] && [ "$(cat "$STAMP")" = "$VERSION" ]; }

if ready; then
  say "ready: $(find "$FOLDER" -name '*.onnx' | wc -l) models"
  exit 0
fi
work_folder
one_at_a_time language-models
if ready; then exit 0; fi
python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
  cannot "pip is needed to fetch ONNX Runtime: apt-get install python3-pip"
# A folder of its own leaves the machine's Python as it is.
python3 -m pip install --quiet --upgrade --target "$WORK/python" "${TOOLS[@]}" >"$WORK/pip.log" 2>&1 ||
  { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install ${TOOLS[*]}"; }
rm -rf "$FOLDER"
PYTHONPATH="$WORK/python" python3 "$HERE/language-models.py" "$FOLDER" >"$WORK/make.log" 2>&1 ||
  { tail -n 20 "$WORK/make.log" >&2; die "language-models.py failed, see above"; }
echo "$VERSION" >"$STAMP"
say "made $(find "$FOLDER" -name '*.onnx' | wc -l) models"
