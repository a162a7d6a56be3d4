#!/usr/bin/env bash
# Format, lints and documentation of the firmware crates that are workspaces of their own.
set -euo pipefail
cd "$(dirname "$0")"

check() {
  cargo clippy --release --quiet "$@" -- -D warnings
  RUSTDOCFLAGS="-D warnings" cargo doc --release --quiet --no-deps "$@"
}

for manifest in */Cargo.toml; do
  grep -q '^\[workspace\]' "$manifest" || continue
  echo "firmware/$(dirname "$manifest")"
  (
    cd "$(dirname "$manifest")"
    cargo fmt --check
    # The HALs take minutes to check; their boards are built by a test under the same switch.
    if grep -q teff-probe Cargo.toml; then
      [ -z "${TEFF_SLOW_TESTS:-}" ] || cargo clippy --release --quiet -- -D warnings
    else
      check
    fi
  )
done

echo "firmware/riscv-virt as rv32imc"
cd riscv-virt
check --target riscv32imc-unknown-none-elf
