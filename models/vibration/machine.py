"""Acceleration of a machine with a rolling bearing, well or damaged, as a small accelerometer on its housing sees it.

A damaged spot in a bearing is struck once for each ball or roller that passes it. Each blow rings the housing's resonances,
and the times between blows vary because the balls slip (McFadden and Smith, "Model for the vibration produced by a single
point defect in a rolling element bearing", Journal of Sound and Vibration 96(1), 1984; Randall and Antoni, "Rolling element
bearing diagnostics - a tutorial", Mechanical Systems and Signal Processing 25(2), 2011). Around that: imbalance and
misalignment at the shaft's harmonics, blades or teeth, flow and friction as noise through the same resonances, and the
sensor's own noise and steps.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

# Balls, their diameter and the pitch diameter in mm, of deep groove ball bearings as makers' catalogues give them.
BEARINGS = {
    "6203": (8, 6.75, 28.5),
    "6204": (8, 7.94, 33.5),
    "6205": (9, 7.94, 39.04),
    "6206": (9, 9.53, 46.0),
    "6305": (7, 11.51, 44.6),
    "6308": (8, 15.08, 65.5),
}
FAULTS = ("outer race", "inner race", "ball")
# Sampling rate in Hz and g for a unit: ADXL345, LIS3DH.
SENSORS = ((1600.0, 0.0039), (1344.0, 0.012 / 16))


def direction(rng):
    """A unit vector, evenly distributed over the sphere."""
    v = rng.normal(size=3)
    return v / np.linalg.norm(v)


@dataclass
class Machine:
    """One machine: what stays the same from one recording to the next is drawn once."""

    rng: np.random.Generator
    sensor: int = 0
    modes: list = field(init=False)

    def __post_init__(self):
        rng = self.rng
        self.rate, self.unit = SENSORS[self.sensor]
        self.speed = rng.uniform(15, 48)  # revolutions a second
        self.bearing = BEARINGS[rng.choice(list(BEARINGS))]
        # Resonances: frequency, damping ratio, weight, direction.
        self.modes = [
            (rng.uniform(120, 0.45 * self.rate), rng.uniform(0.015, 0.06), rng.uniform(0.4, 1), direction(rng))
            for _ in range(rng.integers(2, 5))
        ]
        # Harmonics of the shaft: amplitude in g, phase, direction.
        self.shaft = [
            (0.06 * rng.lognormal(0, 0.6) / order, rng.uniform(0, 2 * np.pi), direction(rng)) for order in range(1, 6)
        ]
        self.blades, self.blade_level, self.blade_way = rng.integers(5, 14), 0.03 * rng.lognormal(0, 0.7), direction(rng)
        self.friction = 0.03 * rng.lognormal(0, 0.5)
        self.gravity = direction(rng)

    def ring(self, force):
        """The housing's answer, [n, 3], to a force: a sum of its resonances."""
        out = np.zeros((len(force), 3))
        for frequency, damping, weight, way in self.modes:
            w = 2 * np.pi * frequency / self.rate
            pole = np.exp(-damping * w)
            response = lfilter([1 - pole], [1, -2 * pole * np.cos(w * np.sqrt(1 - damping**2)), pole**2], force)
            out += weight * response[:, None] * way
        return out

    def blows(self, fault, turns, rng):
        """Impulses, one for each ball that passes the damage, as a series of samples."""
        balls, ball, pitch = self.bearing
        ratio = ball / pitch  # contact angle 0
        cage = (1 - ratio) / 2
        a_turn = {
            "outer race": balls * cage,
            "inner race": balls * (1 - cage),
            "ball": (1 - ratio**2) / ratio,  # both races in each turn of the ball
        }[fault]
        count = int(turns[-1] * a_turn) + 2
        # Each distance varies by 1 %: the slip.
        at = np.cumsum(1 + 0.01 * rng.normal(size=count)) / a_turn
        at = at[at < turns[-1]]
        # How loaded the spot is when it is struck: the inner race turns with the shaft, the ball with the cage.
        phase = {"outer race": 0 * at, "inner race": at, "ball": cage * at}[fault]
        depth = {"outer race": 0.1, "inner race": 0.9, "ball": 0.7}[fault]
        strength = (1 + depth * np.cos(2 * np.pi * phase)) * rng.lognormal(0, 0.2, size=len(at))
        force = np.zeros(len(turns))
        np.add.at(force, np.searchsorted(turns, at).clip(0, len(turns) - 1), strength)
        return force

    def record(self, n, fault=None, severity=0.0):
        """`n` samples, int16 [n, 3], in the sensor's units.

        * severity: root mean square of the fault's vibration, as a share of that of all else but gravity
        """
        rng = self.rng
        load = rng.lognormal(0, 0.12)
        speed = self.speed * (1 + 0.01 * rng.normal() + 0.002 * np.cumsum(rng.normal(size=n)) / np.sqrt(n))
        turns = np.cumsum(speed / self.rate)
        well = np.zeros((n, 3))
        for order, (level, phase, way) in enumerate(self.shaft, 1):
            well += load * level * np.sin(2 * np.pi * order * turns + phase)[:, None] * way
        blades = self.blade_level * np.sin(2 * np.pi * self.blades * turns)
        well += load * blades[:, None] * self.blade_way
        noise = self.ring(rng.normal(size=n))
        well += load**1.5 * self.friction * noise / np.sqrt((noise**2).sum(1).mean())
        total = well
        if fault is not None:
            damage = self.ring(self.blows(fault, turns, rng))
            level = np.sqrt((well**2).sum(1).mean() / (damage**2).sum(1).mean())
            total = well + severity * level * damage
        total = total + self.gravity + 0.004 * rng.normal(size=(n, 3))
        return np.clip(np.round(total / self.unit), -32768, 32767).astype(np.int16)
