# Sourced by the scripts of this folder: messages, and Debian packages without touching the machine's apt set-up.
# shellcheck shell=bash

SETUP_NAME=$(basename "$0" .sh)

say() { printf '[%s] %s\n' "$SETUP_NAME" "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# Exit 1: something that should work did not.
die() {
  say "error: $*"
  exit 1
}

# Exit 3: this machine cannot do it; the message says what a person can do. Callers may skip with that reason.
cannot() {
  say "cannot: $*"
  exit 3
}

# A folder that goes away with the script.
work_folder() {
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/teff-$SETUP_NAME.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
}

# Two runs at once: the second waits for the first.
one_at_a_time() {
  if have flock; then
    exec 9>"${TMPDIR:-/tmp}/teff-$1.lock"
    flock 9
  fi
}

# apt_install PACKAGE… : installs with the machine's own sources; fails where there is no apt-get, or no right to use it.
apt_install() {
  have apt-get && [ "$(id -u)" = 0 ] || return 1
  say "installing $*"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y \
    --no-install-recommends "$@"; } >>"$WORK/apt.log" 2>&1
}

# The Debian mirrors that this machine is configured to use, one a line.
# shellcheck disable=SC2016
debian_mirrors() {
  apt-get indextargets 'Created-By: Packages' --format '$(REPO_URI)' 2>/dev/null |
    sort -u | grep -i debian | grep -vi security
}

# apt_suites SUITE... : lets `private_apt` see exactly these suites, from the machine's own mirrors.
# Signatures are checked; the machine's own sources and lists stay as they are.
apt_suites() {
  local keys="" key mirror suite
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/archives/partial" "$WORK/apt/preferences.d"
  for key in /usr/share/keyrings/debian-archive-*.gpg; do
    if [ -e "$key" ]; then keys="$keys${keys:+,}$key"; fi
  done
  : >"$WORK/apt/sources.list"
  for mirror in $(debian_mirrors); do
    for suite in "$@"; do
      echo "deb ${keys:+[signed-by=$keys]} $mirror $suite main" >>"$WORK/apt/sources.list"
    done
  done
  [ -s "$WORK/apt/sources.list" ] || return 1
  private_apt apt-get -qq update >>"$WORK/apt.log" 2>&1
}

# private_apt apt-get|apt-cache ARGUMENT... : the command, with the sources of `apt_suites` and the real dpkg status.
private_apt() {
  local command=$1
  shift
  DEBIAN_FRONTEND=noninteractive timeout 900 "$command" \
    -o Dir::Etc::sourcelist="$WORK/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferencesparts="$WORK/apt/preferences.d" -o Dir::Etc::preferences=/dev/null \
    -o Dir::State::lists="$WORK/apt/lists" -o Dir::Cache="$WORK/apt" -o Dir::Cache::archives="$WORK/apt/archives" \
    -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=300 \
    -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# models_of_recipe: makes target/NAME with NAME.py, which wants the packages TOOLS of PyPI and the folder to write to; NAME is the
# script's own. Made again when the script or the recipe changes.
models_of_recipe() {
  local here root folder stamp version
  here=$(cd "$(dirname "$0")" && pwd)
  root=$(cd "$here/../.." && pwd)
  folder=${CARGO_TARGET_DIR:-$root/target}/$SETUP_NAME
  stamp=$folder/.version
  version=$(cat "$0" "$here/$SETUP_NAME.py" | cksum)
  ready() { [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$version" ]; }

  if ready; then
    say "ready: $(find "$folder" -name '*.onnx' | wc -l) models"
    exit 0
  fi
  work_folder
  one_at_a_time "$SETUP_NAME"
  if ready; then exit 0; fi
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip ||
    cannot "pip is needed to fetch ONNX Runtime: apt-get install python3-pip"
  # A folder of its own leaves the machine's Python as it is.
  python3 -m pip install --quiet --upgrade --target "$WORK/python" "${TOOLS[@]}" >"$WORK/pip.log" 2>&1 ||
    { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install ${TOOLS[*]}"; }
  rm -rf "$folder"
  PYTHONPATH="$WORK/python" python3 "$here/$SETUP_NAME.py" "$folder" >"$WORK/make.log" 2>&1 ||
    { tail -n 20 "$WORK/make.log" >&2; die "$SETUP_NAME.py failed, see above"; }
  echo "$version" >"$stamp"
  say "made $(find "$folder" -name '*.onnx' | wc -l) models"
}
