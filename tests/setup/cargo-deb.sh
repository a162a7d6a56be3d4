#!/usr/bin/env bash
# Installs cargo-deb, which makes the package for the Raspberry Pi, where it is missing: into Cargo's home.
#
# Exit 0: it is there. Exit 3: this machine cannot install it; the last line says what to do by hand.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! have cargo-deb; then
  have cargo || cannot "cargo is needed: see https://rustup.rs"
  one_at_a_time cargo-deb
  work_folder
  say "installing cargo-deb"
  CARGO_TARGET_DIR=$WORK/target cargo install --quiet --locked cargo-deb >"$WORK/install.log" 2>&1 ||
    { tail -n 20 "$WORK/install.log" >&2; cannot "run 'cargo install cargo-deb --locked' on a connected machine"; }
fi
say "ready: cargo-deb $(cargo-deb --version)"
