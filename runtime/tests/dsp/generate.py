#!/usr/bin/env python3
"""Writes goldens.npz: what NumPy and SciPy compute, in float64, for the front ends of runtime/src/dsp.

Signals are synthetic and made here (fixed seed): noise, a chirp, a tone between bins and a quiet tone, all int16.
Mel filters follow HTK's formula. Made with numpy 2.4.6 and scipy 1.17.1:

    pip install numpy scipy && python3 runtime/tests/dsp/generate.py
"""

from pathlib import Path

import numpy as np
from scipy import signal

RATE = 16_000


def signals(n: int) -> np.ndarray:
    """int16, (4, n)."""
    t = np.arange(n) / RATE
    generator = np.random.default_rng(20)
    rows = [
        generator.integers(-32768, 32768, n),
        30_000 * signal.chirp(t, 50, t[-1] if n > 1 else 1, 7_900),
        32_767 * np.sin(2 * np.pi * 1_234.5 * t),
        40 * np.sin(2 * np.pi * 440 * t) + generator.normal(0, 3, n),
    ]
    return np.clip(np.round(rows), -32768, 32767).astype(np.int16)


def mel_filters(bins: int, filters: int, low: float, high: float) -> np.ndarray:
    """Weights, (filters, bins)."""
    corners = np.linspace(*(2595 * np.log10(1 + np.array([low, high]) / 700)), filters + 2)
    hz = 700 * (10 ** (corners / 2595) - 1)
    f = np.linspace(0, RATE / 2, bins)
    left, peak, right = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    return np.maximum(0, np.minimum((f - left) / (peak - left), (right - f) / (right - peak)))


def main() -> None:
    arrays = {"hann_400": signal.get_window("hann", 400), "hamming_400": signal.get_window("hamming", 400)}
    for n in (16, 64, 512, 1024):
        x = signals(n)
        spectrum = np.fft.rfft(x.astype(np.float64) * signal.get_window("hann", n))
        arrays |= {f"samples_{n}": x, f"re_{n}": spectrum.real, f"im_{n}": spectrum.imag}
        arrays |= {f"power_{n}": np.abs(spectrum) ** 2}
    frames = signals(400)
    power = np.abs(np.fft.rfft(frames * arrays["hann_400"], 512)) ** 2
    weights = mel_filters(257, 40, 20, 7_600)
    arrays |= {"frames_400": frames, "mel_weights": weights, "log2_mel": np.log2(power @ weights.T)}
    speech = signals(2_000)[1]
    arrays |= {"speech": speech, "emphasized": signal.lfilter([1, -0.97], 1, speech.astype(np.float64))}
    for hop in (160, 400):
        arrays |= {f"frames_of_speech_{hop}": np.lib.stride_tricks.sliding_window_view(speech, 400)[::hop]}
    np.savez_compressed(Path(__file__).parent / "goldens.npz", **arrays)


if __name__ == "__main__":
    main()
