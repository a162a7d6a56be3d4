#!/usr/bin/env bash
# Makes small models with ONNX Runtime's quantizer in all its forms, and lets ONNX Runtime compute what they give:
# target/quantized-models/NAME.onnx and NAME.npz, see quantized-models.py.
#
# Exit 0: all there. Exit 3: this machine cannot have them; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

TOOLS=(onnxruntime==1.23.2 numpy==2.2.6 onnx==1.19.1)
models_of_recipe
