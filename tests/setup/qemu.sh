#!/usr/bin/env bash
# Installs QEMU for Arm and RISC-V boards, QEMU's user mode, and the linker for aarch64 Linux, where they are missing.
#
# Exit 0: all there. Exit 3: this machine cannot install them; the last line says what to install by hand.
# QEMU must be 9 or newer: the instruction counter of tests/qemu-icount needs its plugin interface.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

MIN_MAJOR=9
COMMANDS=(qemu-system-arm qemu-system-riscv32 qemu-aarch64 aarch64-linux-gnu-gcc)
PACKAGES=(qemu-system-arm qemu-system-misc qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross)

# The commands that are missing or too old, one a line.
missing() {
  local command major
  for command in "${COMMANDS[@]}"; do
    if ! have "$command"; then
      echo "$command"
    elif [[ $command == qemu-* ]]; then
      major=$("$command" --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q')
      [ "${major:-0}" -ge "$MIN_MAJOR" ] || echo "$command"
    fi
  done
}

if [ -z "$(missing)" ]; then
  say "ready: $(qemu-system-arm --version | head -n 1)"
  exit 0
fi

BY_HAND="install QEMU $MIN_MAJOR or newer (${PACKAGES[*]}) with the system's package manager"
have apt-get || cannot "no apt-get here: $BY_HAND"
[ "$(id -u)" = 0 ] || cannot "not root: run 'sudo $0', or $BY_HAND"

work_folder
one_at_a_time qemu
RELEASE=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

if [ "$RELEASE" = bookworm ]; then
  # bookworm's own QEMU is 7.2: take QEMU from its backports, whatever the machine's sources are.
  say "installing ${PACKAGES[*]} (missing or too old: $(missing | tr '\n' ' '))"
  apt_suites bookworm bookworm-updates bookworm-backports && private_apt apt-get -qq -t bookworm-backports install -y \
    --no-install-recommends "${PACKAGES[@]}" >>"$WORK/apt.log" 2>&1
else
  apt_install "${PACKAGES[@]}"
fi || { tail -n 20 "$WORK/apt.log" >&2; cannot "$BY_HAND"; }

STILL=$(missing)
[ -z "$STILL" ] || cannot "installed, but still missing or older than $MIN_MAJOR: $(tr '\n' ' ' <<<"$STILL")- $BY_HAND"
say "installed: $(qemu-system-arm --version | head -n 1)"
