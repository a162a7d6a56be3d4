"""Clips of a second: a word, another word or none, in a room with noise."""

import numpy as np

import rooms
from voices import ACCENTS, Speaker, variants

RATE = 16_000
WORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
LABELS = ["silence", "unknown", *WORDS]
# Some sound like the ten: know them apart. The test set has the second list beside the first.
OTHERS = """one two three four five six seven eight nine zero bed bird cat dog happy house marvin sheila tree wow
backward forward follow learn visual low gone lift light write shop step top town dawn cup cut oh of open close music
volume lamp kitchen hello yesterday nothing under office story window table water paper number people""".split()
UNHEARD = """garden silver monday bottle purple market winter doctor yellow river mirror picture guitar hotel
button pencil sugar basket candle dinner""".split()
ROOMS = {"train": 300, "held-out": 40, "test": 80}
SEEDS = {"train": 1, "held-out": 2, "test": 3}


class Studio:
    """Makes the clips of a split; rooms, voices and noises of their own for each."""

    def __init__(self, split, speaker):
        self.random = np.random.default_rng(SEEDS[split])
        self.speaker, self.variants = speaker, variants(split)
        self.others = OTHERS + UNHEARD if split == "test" else OTHERS
        self.responses = [rooms.impulse_response(self.random) for _ in range(ROOMS[split])]
        # What babble is made of: whole words of all kinds.
        vocabulary = self.others + WORDS
        self.speech = [self.said(self.random.choice(vocabulary)) for _ in range(200)]

    def said(self, word):
        """`word` by a voice drawn at random, at most 0.95 s."""
        random = self.random
        voice = random.choice(ACCENTS), random.choice(self.variants)
        samples = self.speaker.say(
            word, *voice, random.uniform(130, 230), random.uniform(25, 75), random.uniform(25, 75)
        )
        return samples[: int(0.95 * RATE)]

    def clip(self, label):
        """A second of `label`, int16: the word anywhere in it, in a room, with noise 3 to 35 dB below, at any level."""
        random = self.random
        noise = rooms.noise(random, RATE, self.speech)
        if label == "silence":
            mixed = noise
            level = random.uniform(-70, -20)
        else:
            word = self.said(random.choice(self.others) if label == "unknown" else label)
            if random.uniform() < 0.85:
                dry = len(word)
                word = rooms.convolved(word, self.responses[random.integers(len(self.responses))])[: dry + RATE // 8]
            word = word[:RATE]
            at = random.integers(RATE - len(word) + 1)
            mixed = np.zeros(RATE)
            mixed[at : at + len(word)] = word / np.sqrt(np.mean(word**2))
            mixed += noise * 10 ** (-random.uniform(3, 35) / 20)
            level = random.uniform(-40, -14)
        mixed = mixed / np.sqrt(np.mean(mixed**2)) * 10 ** (level / 20) * 32768
        return np.clip(np.round(mixed), -32768, 32767).astype(np.int16)

    def clips(self, each):
        """`each` clips of every label, shuffled: int16 (n, 16000), int64 (n)."""
        y = np.repeat(np.arange(len(LABELS)), each)
        self.random.shuffle(y)
        return np.stack([self.clip(LABELS[label]) for label in y]), y
