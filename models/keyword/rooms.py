"""Rooms and noises: what stands between a mouth and a microphone."""

import itertools

import numpy as np

RATE = 16_000
SPEED_OF_SOUND = 343.0
ORDER = 6  # reflections on the two walls of an axis


def impulse_response(random):
    """A shoebox room by the image method (J. B. Allen and D. A. Berkley, 1979), 0.25 s, the direct sound first, peak 1.

    3 to 8 by 3 to 6 by 2.4 to 3.4 m; walls reflect 40 to 85 % of the amplitude.
    """
    size = random.uniform([3, 3, 2.4], [8, 6, 3.4])
    mouth, microphone = (random.uniform(0.3, size - 0.3) for _ in range(2))
    reflection = random.uniform(0.4, 0.85)
    turns = np.array(list(itertools.product(range(-ORDER // 2, ORDER // 2 + 1), repeat=3)))
    response = np.zeros(RATE // 4)
    for mirror in itertools.product((0, 1), repeat=3):
        mirror = np.array(mirror)
        image = (1 - 2 * mirror) * mouth + 2 * turns * size
        distance = np.linalg.norm(image - microphone, axis=1)
        bounces = np.abs(2 * turns - mirror).sum(1)
        at = np.round(distance / SPEED_OF_SOUND * RATE).astype(int)
        near = at < len(response)
        np.add.at(response, at[near], (reflection**bounces / np.maximum(distance, 0.1))[near])
    response = response[np.flatnonzero(response)[0] :]
    return response / np.abs(response).max()


def convolved(samples, response):
    """As long as `samples` and the tail."""
    n = len(samples) + len(response) - 1
    size = 1 << (n - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size), size)[:n]


def coloured(random, n, exponent):
    """Noise with a power spectrum of `f^-exponent`."""
    spectrum = np.fft.rfft(random.standard_normal(n))
    f = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40)
    return np.fft.irfft(spectrum * f ** (-exponent / 2), n)


def hum(random, n):
    """The mains, its harmonics, and some hiss."""
    t = np.arange(n) / RATE
    base = random.choice([50.0, 60.0])
    tones = (random.uniform(0, 1 / k) * np.sin(2 * np.pi * (base * k * t + random.uniform())) for k in range(1, 12))
    return sum(tones) + 0.02 * random.standard_normal(n)


def babble(random, n, speech):
    """Several talkers at once, none of whom says a whole word that is heard alone."""
    total = np.zeros(n)
    for _ in range(random.integers(4, 8)):
        at = 0
        while at < n:
            clip = speech[random.integers(len(speech))]
            clip = clip[: n - at]
            total[at : at + len(clip)] += clip
            at += len(clip) + random.integers(RATE // 10)
    return total


def noise(random, n, speech):
    """One of white to brown noise, hum or babble; rms 1."""
    kind = random.integers(5)
    samples = babble(random, n, speech) if kind == 0 else hum(random, n) if kind == 1 else None
    if samples is None:
        samples = coloured(random, n, random.uniform(0, 2))
    return samples / max(np.sqrt(np.mean(samples**2)), 1e-9)
