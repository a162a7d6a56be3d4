"""Synthetic speech by espeak-ng, from the PyPI package `espeakng-loader`, which brings the library and its voices.

A voice is a language (an accent of English) and a variant (a vocal tract, a way of speaking). Variants with names that
differ in their digits or capitals alone, such as Mike and mike2, are one family; a family is heard in one split only.
"""

import ctypes
import re
from pathlib import Path

import espeakng_loader
import numpy as np

RATE = 16_000
ACCENTS = ["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc", "en-029"]
# Not voices of persons who say a word: whispers have no pitch, and some are caricatures.
LEFT_OUT = {"whisper", "whisperf", "Demonic", "croak", "Tweaky", "fast"}

# From espeak-ng/speak_lib.h
SYNCHRONOUS, CHARS_UTF8, POSITION_CHARACTER = 2, 1, 1
SPEED, PITCH, PITCH_RANGE = 1, 3, 4


def families():
    """Variants by family, in a fixed order."""
    found = {}
    for path in (Path(espeakng_loader.get_data_path()) / "voices/!v").iterdir():
        if path.name not in LEFT_OUT:
            family = path.name if len(path.name) == 2 else re.sub(r"\d+$", "", path.name).lower()
            found.setdefault(family, []).append(path.name)
    return [sorted(found[family]) for family in sorted(found)]


def variants(split):
    """The variants of `train`, `held-out` or `test`: seven, one and two of ten families."""
    places = {"train": (0, 1, 3, 4, 5, 7, 9), "held-out": (8,), "test": (2, 6)}[split]
    return [name for i, family in enumerate(families()) if i % 10 in places for name in family]


class Speaker:
    """Says words. The library keeps its state in globals: one speaker a process."""

    def __init__(self):
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.native = self.library.espeak_Initialize(
            SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), 0
        )
        assert self.native > 0, "espeak-ng cannot be initialized"
        self.heard = []
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self.callback = callback(self.take)  # kept: the library holds no reference
        self.library.espeak_SetSynthCallback(self.callback)

    def take(self, samples, count, _events):
        """Called by the library with the samples that it has ready."""
        if samples and count > 0:
            self.heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, word, accent, variant, speed, pitch, pitch_range):
        """`word` at 16 kHz without the silence around it: float, peak 1. Speed in words a minute, the others 0 to 100."""
        error = self.library.espeak_SetVoiceByName(f"{accent}+{variant}".encode())
        assert error == 0, f"espeak-ng has no voice {accent}+{variant}"
        for parameter, value in ((SPEED, speed), (PITCH, pitch), (PITCH_RANGE, pitch_range)):
            self.library.espeak_SetParameter(parameter, int(value), 0)
        self.heard.clear()
        text = word.encode() + b"\0"
        self.library.espeak_Synth(text, len(text), 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
        return trimmed(resampled(np.concatenate(self.heard).astype(np.float64), self.native))


def resampled(samples, rate):
    """From `rate` to 16 kHz, by leaving out the frequencies above 8 kHz."""
    unit = np.gcd(rate, RATE)
    up, down = RATE // unit, rate // unit
    samples = np.pad(samples, (0, -len(samples) % down + down))
    target = len(samples) // down * up
    return np.fft.irfft(np.fft.rfft(samples)[: target // 2 + 1], target)


def trimmed(samples):
    """Without the silence before and after, 40 dB below the peak; peak 1."""
    samples = samples / max(np.abs(samples).max(), 1e-9)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]
