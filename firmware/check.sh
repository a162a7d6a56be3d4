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
    check
  )
done

echo "firmware/riscv-virt as rv32imc"
cd riscv-virt
check --target riscv32imc-unknown-none-elf
