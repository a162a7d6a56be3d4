#!/usr/bin/env bash
# targets.sh [TARGET…]: makes `cargo build --target TARGET` work with the compiler that this folder selects.
#
# A target that already compiles is left alone. Otherwise `rustup target add`, the ordinary way. Where rustup may not
# download (RUSTUP_AUTO_INSTALL=0) or is offline, the target's core and alloc (std for Linux targets) are built once
# from the rust-src of this very compiler version, from rustup or Debian, and put into the compiler's sysroot.
#
# TEFF_RUST_SRC=/path/to/library   take the standard library's source from there
#
# Exit 0: all targets compile. Exit 3: this machine cannot have them; the last line says what to do by hand.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

TARGETS=("$@")
if [ ${#TARGETS[@]} = 0 ]; then
  TARGETS=(thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabi thumbv7em-none-eabihf
    thumbv8m.main-none-eabi thumbv8m.main-none-eabihf riscv32imc-unknown-none-elf riscv32imac-unknown-none-elf
    aarch64-unknown-linux-gnu)
fi

have rustc && have cargo || cannot "rustc and cargo are needed: see https://rustup.rs"
work_folder

# The compiler that the caller's folder selects, and nothing else of the caller: no config, no flags.
if have rustup && [ -z "${RUSTUP_TOOLCHAIN:-}" ]; then
  TOOLCHAIN=$(rustup show active-toolchain 2>/dev/null | awk 'NR==1 {print $1}')
  if [ -n "$TOOLCHAIN" ]; then export RUSTUP_TOOLCHAIN=$TOOLCHAIN; fi
fi
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET CARGO_TARGET_DIR RUSTC_WRAPPER
cd "$WORK"

VERSION=$(rustc -vV)
RELEASE=$(awk '/^release:/ {print $2}' <<<"$VERSION")
COMMIT=$(awk '/^commit-hash:/ {print $2}' <<<"$VERSION")
RUSTLIB=$(rustc --print sysroot)/lib/rustlib
MARK=.teff-built-from-rust-src # in every folder of the sysroot that this script made

is_linux() { [[ $1 == *-linux-* ]]; }

# Compiles a crate that needs alloc (std), so that absent, partial and outdated libraries are all found out.
compiles() {
  local probe='#![no_std] extern crate alloc; pub fn f(n: usize) -> alloc::vec::Vec<u8> { alloc::vec![0; n] }'
  if is_linux "$1"; then probe='pub fn f() { std::thread::spawn(|| println!("x")); }'; fi
  rustc --target "$1" --edition 2024 --crate-name probe --crate-type rlib -o "$WORK/$1.rlib" - \
    <<<"$probe" >"$WORK/probe.log" 2>&1
}

rustup_may_download() { have rustup && [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ]; }

is_library_source() { [ -f "$1/core/src/lib.rs" ] && [ -f "$1/alloc/Cargo.toml" ] && [ -f "$1/Cargo.lock" ]; }

# Unpacks Debian's rust-src of this compiler's version; prints the folder of the library.
debian_source() {
  local suite version
  have apt-get && have dpkg-deb || return 1
  for suite in trixie-backports sid forky trixie bookworm-backports experimental; do
    apt_suites "$suite" || continue
    version=$(private_apt apt-cache madison rust-src | awk -F'|' '{gsub(/ /, "", $2); print $2}' |
      grep -m 1 -E "^${RELEASE//./\\.}[+~-]") || continue
    say "rust-src $version from Debian $suite"
    mkdir -p "$WORK/deb"
    (cd "$WORK/deb" && private_apt apt-get -qq download "rust-src=$version") >>"$WORK/apt.log" 2>&1 || continue
    dpkg-deb -x "$WORK"/deb/rust-src_*.deb "$WORK/rust-src" || continue
    is_library_source "$WORK/rust-src/usr/src/rustc-$RELEASE/library" || continue
    echo "$WORK/rust-src/usr/src/rustc-$RELEASE/library"
    return 0
  done
  return 1
}

# Puts the library's source where -Zbuild-std looks for it.
provide_source() {
  local installed=$RUSTLIB/src/rust/library from=""
  if [ -n "${TEFF_RUST_SRC:-}" ]; then
    is_library_source "$TEFF_RUST_SRC" || cannot "TEFF_RUST_SRC=$TEFF_RUST_SRC is not the library folder of rust-src"
    from=$TEFF_RUST_SRC
  elif is_library_source "$installed" &&
    { [ ! -e "$installed/$MARK" ] || [ "$(cat "$installed/$MARK")" = "$RELEASE" ]; }; then
    return 0
  elif rustup_may_download && timeout 300 rustup component add rust-src >"$WORK/rustup.log" 2>&1 &&
    is_library_source "$installed"; then
    return 0
  else
    from=$(debian_source) || cannot "no rust-src $RELEASE from rustup or Debian: run 'rustup target add ${TARGETS[*]}'" \
      "on a connected machine, or set TEFF_RUST_SRC to the library folder of that source"
  fi
  rm -rf "$installed" "$installed.new"
  mkdir -p "$(dirname "$installed")"
  cp -rL "$from" "$installed.new"
  echo "$RELEASE" >"$installed.new/$MARK"
  mv "$installed.new" "$installed"
}

# Builds the library as the official releases are built: optimized, one codegen unit, bitcode embedded for LTO.
build_library() {
  local target=$1 crate=$WORK/build-$1 crates=core,alloc,compiler_builtins panic=abort prelude='#![no_std]'
  if is_linux "$target"; then crates=std,panic_abort,panic_unwind,proc_macro,test panic=unwind prelude=''; fi
  mkdir -p "$crate/src"
  echo "$prelude" >"$crate/src/lib.rs"
  cat >"$crate/Cargo.toml" <<TOML
[package]
name = "teff-probe"
edition = "2024"
[workspace]
[profile.release]
opt-level = 3
panic = "$panic"
codegen-units = 1
debug = "line-tables-only"
[profile.release.package.compiler_builtins]
codegen-units = 10000
TOML
  (cd "$crate" && RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="-Cembed-bitcode=yes --remap-path-prefix=$RUSTLIB/src/rust/library=/rustc/$COMMIT/library" \
    cargo build --quiet --release --target "$target" -Zbuild-std="$crates") >"$WORK/build.log" 2>&1 ||
    { tail -n 30 "$WORK/build.log" >&2; return 1; }
  rm -rf "$RUSTLIB/$target.new"
  mkdir -p "$RUSTLIB/$target.new/lib"
  find "$crate/target/$target/release/deps" -name 'lib*.rlib' ! -name 'libteff_probe-*' \
    -exec cp {} "$RUSTLIB/$target.new/lib/" \;
  echo "$RELEASE $COMMIT" >"$RUSTLIB/$target.new/$MARK"
  rm -rf "${RUSTLIB:?}/$target"
  mv "$RUSTLIB/$target.new" "$RUSTLIB/$target"
  rm -rf "$crate"
}

provide() {
  local target=$1 start=$SECONDS
  if compiles "$target"; then return 0; fi
  if [ -e "$RUSTLIB/$target/$MARK" ]; then rm -rf "${RUSTLIB:?}/$target"; fi # of another compiler version
  if rustup_may_download && timeout 300 rustup target add "$target" >"$WORK/rustup.log" 2>&1 && compiles "$target"; then
    say "$target: added by rustup"
    return 0
  fi
  [ -w "$RUSTLIB" ] || cannot "no rights to write to the compiler's folder: run 'rustup target add $target'"
  provide_source
  build_library "$target" && compiles "$target" || { cat "$WORK/probe.log" >&2; die "$target: could not be built"; }
  say "$target: built from rust-src $RELEASE in $((SECONDS - start)) s"
}

one_at_a_time "targets-$(cksum <<<"$RUSTLIB" | cut -d' ' -f1)"
for target in "${TARGETS[@]}"; do provide "$target"; done
say "ready: ${TARGETS[*]}"
