"""words.wav: what the application's test hears."""

import wave

import numpy as np

import rooms
from sounds import WORDS
from voices import RATE

# A voice that training never heard, and three words that are none of the ten.
VOICE = ("en-us", "f2")
SAID = [*WORDS[:5], "garden", *WORDS[5:], "window", "seven"]
GAP = 0.7  # seconds after a word


def write(path, speaker):
    """Each word once, in a room, with noise 20 dB below."""
    random = np.random.default_rng(4)
    room = rooms.impulse_response(random)
    pieces = [np.zeros(RATE)]
    for word in SAID:
        samples = rooms.convolved(speaker.say(word, *VOICE, 160, 50, 50), room)
        pieces += [samples / np.sqrt(np.mean(samples**2)), np.zeros(int(GAP * RATE))]
    sound = np.concatenate(pieces)
    sound += 0.1 * rooms.coloured(random, len(sound), 1) / np.std(rooms.coloured(random, RATE, 1))
    samples = np.clip(np.round(sound * 2_000), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "not compressed"))
        file.writeframes(samples.tobytes())
