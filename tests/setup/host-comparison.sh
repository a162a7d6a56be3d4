#!/usr/bin/env bash
# Compares CPU time on this computer, one thread: Teff, TensorFlow Lite with XNNPACK (PyPI ai-edge-litert) and tract, on the models of
# MLPerf Tiny, in one run. All arguments go to host-comparison.py; with --json it prints JSON.
#
# The Python packages go to a folder of their own, outside the repository. Exit 3: this machine cannot; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

have python3 || cannot "python3 is needed"
ENVIRONMENT=${XDG_CACHE_HOME:-$HOME/.cache}/teff/host-comparison
work_folder
one_at_a_time host-comparison
if [ ! -e "$ENVIRONMENT/ready" ]; then
  say "installing ai-edge-litert to $ENVIRONMENT"
  python3 -m venv "$ENVIRONMENT" >"$WORK/pip.log" 2>&1 || cannot "python3 -m venv failed: $(tail -n 1 "$WORK/pip.log")"
  "$ENVIRONMENT/bin/python" -m pip install --quiet ai-edge-litert==2.3.0 numpy >"$WORK/pip.log" 2>&1 ||
    { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install ai-edge-litert"; }
  touch "$ENVIRONMENT/ready"
fi
cargo build --quiet --release --package teff-tools --bin teff
"$ENVIRONMENT/bin/python" tests/setup/host-comparison.py --teff "${CARGO_TARGET_DIR:-target}/release/teff" "$@"
