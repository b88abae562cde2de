# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene being built: parts with materials, lights and air, and the stock of random materials to build it from.

Knows shapes and textures; not how scenes are composed (interiors, outdoors, ...) nor how they are rendered.
"""

import colorsys
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from .shapes import Mesh
from .textures import Material, PatternBank

# kind of material -> patterns, hue centre (None = any), saturation range, value range, repeats per metre
_STOCK = {
    "wall": (("plain", "plain", "plain", "plain", "noise", "stripes", "bricks"), None, (0.0, 0.3), (0.4, 0.95),
             (0.2, 1.0)),
    "wood": (("grain", "planks", "grain"), 0.08, (0.3, 0.75), (0.15, 0.8), (0.4, 1.5)),
    "fabric": (("plain", "noise", "checker", "stripes", "spots", "grain"), None, (0.0, 0.8), (0.08, 0.9), (1, 8)),
    "carpet": (("stripes", "noise", "checker", "planks", "spots", "grain"), None, (0.0, 0.5), (0.1, 0.7), (0.5, 4)),
    "tiles": (("checker", "bricks", "marble", "bricks"), None, (0.0, 0.4), (0.2, 0.9), (0.3, 1.5)),
    "gloss": (("plain", "plain", "noise"), None, (0.0, 0.95), (0.03, 0.95), (0.5, 4)),
    "paper": (("text", "poster", "poster"), None, (0.0, 0.9), (0.2, 0.95), (2, 6)),
    "foliage": (("noise", "spots", "noise"), 0.27, (0.3, 0.8), (0.08, 0.6), (0.5, 4)),
    "ground": (("noise", "noise", "spots", "plain"), 0.12, (0.0, 0.5), (0.12, 0.7), (0.1, 1.0)),
    "grass": (("noise", "spots"), 0.24, (0.3, 0.8), (0.12, 0.6), (0.2, 2.0)),
    "road": (("noise", "plain", "bricks"), 0.1, (0.0, 0.12), (0.1, 0.5), (0.2, 1.0)),
    "stone": (("noise", "marble", "noise", "spots"), 0.09, (0.0, 0.3), (0.15, 0.75), (0.3, 2.0)),
    "facade": (("facade", "facade", "bricks", "plain"), 0.07, (0.0, 0.5), (0.2, 0.85), (0.06, 0.2)),
    "skin": (("noise", "plain", "spots", "grain"), 0.07, (0.1, 0.65), (0.05, 0.85), (1, 6)),
    "any": (("noise", "grain", "stripes", "checker", "marble", "spots", "plain", "text", "poster"), None, (0.0, 0.95),
            (0.03, 0.95), (0.5, 6)),
}  # fmt: skip

# how often snow hides such a material
_SNOWED = {"grass": 1.0, "ground": 0.9, "road": 0.6, "foliage": 0.4, "stone": 0.4}


@dataclass
class Light:
    """A lamp: a point in metres (spread makes soft shadows), or a direction towards the sun when `sun` is set."""

    position: np.ndarray
    colour: np.ndarray
    spread: float = 0.0
    sun: bool = False


@dataclass
class Air:
    """Sky and haze. A ray that hits nothing sees the sky: horizon to zenith, with clouds where `clouds` > 0."""

    horizon: np.ndarray
    zenith: np.ndarray
    ambient: np.ndarray
    clouds: float = 0.0
    haze: float = 0.0


@dataclass
class Scene:
    """Parts in world coordinates (metres, z up) with a material each, plus lights, air and camera hints.

    salient: indices of the parts that a picture is of; empty where nothing stands out, None where that is a matter of
    taste. snow: whether it lies on the ground, on stones and leaves.
    """

    rng: Generator
    bank: PatternBank
    parts: list[tuple[Mesh, np.ndarray, int, bool]] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    air: Air | None = None
    targets: list[tuple[np.ndarray, float]] = field(default_factory=list)
    defocus: float = 0.0
    salient: set[int] | None = field(default_factory=set)
    snow: bool = False

    def feature(self, first: int) -> None:
        """What was added since there were `first` parts is what pictures are of."""
        if self.salient is not None:
            self.salient.update(range(first, len(self.parts)))

    def material(self, kind: str, emission: float = 0.0, surprise: float = 0.12) -> int:
        """Add a random material of that kind, now and then of any kind, and return its index."""
        rng = self.rng
        if rng.random() < surprise:
            kind = "any"
        patterns, hue, saturation, value, scale = _STOCK[kind]
        if self.snow and kind in _SNOWED and rng.random() < _SNOWED[kind]:
            hue, saturation, value = 0.6, (0.0, 0.12), (0.8, 0.98)
        shiny = rng.random() < (0.7 if kind in ("gloss", "tiles") else 0.2)
        self.materials.append(
            Material(
                pattern=self.bank.index(str(rng.choice(patterns)), rng),
                palette=_palette(rng, hue, saturation, value, rng.uniform(0.1, 0.45 if kind == "wall" else 0.8) ** 1.5),
                scale=float(np.exp(rng.uniform(*np.log(scale)))),
                angle=float(rng.choice([0, np.pi / 2, rng.uniform(0, 6.28)], p=[0.4, 0.4, 0.2])),
                offset=(float(rng.random()), float(rng.random())),
                specular=float(rng.uniform(0.1, 0.7)) if shiny else float(rng.uniform(0, 0.08)),
                gloss=float(np.exp(rng.uniform(1.5, 5))),
                emission=emission,
                coarser=float(rng.uniform(0.2, 0.6))
                if kind in ("grass", "ground", "stone", "foliage", "road")
                else 0.0,
            )
        )
        return len(self.materials) - 1

    def add(
        self,
        mesh: Mesh,
        material: int,
        at: tuple[float, float, float] | np.ndarray = (0, 0, 0),
        yaw: float = 0.0,
        turn: np.ndarray | None = None,
        smooth: bool = False,
    ) -> None:
        """Place a mesh: turned by `turn` (3, 3), then by `yaw` about z, then moved to `at`; its texture follows."""
        rotation = yaw_matrix(yaw) if turn is None else yaw_matrix(yaw) @ turn
        vertices = mesh.vertices @ rotation.T.astype(np.float32) + np.asarray(at, np.float32)
        self.parts.append((Mesh(vertices.astype(np.float32), mesh.faces), mesh.vertices, material, smooth))


class Group:
    """A piece of furniture built around its own origin, to be placed somewhere in a scene."""

    def __init__(self, scene: Scene, at: tuple[float, float, float] | np.ndarray, yaw: float = 0.0):
        self.scene, self.at, self.yaw, self.rng = scene, np.asarray(at, float), yaw, scene.rng

    def world(self, point: tuple[float, float, float] | np.ndarray) -> np.ndarray:
        """A point of the group in world coordinates."""
        return yaw_matrix(self.yaw) @ np.asarray(point, float) + self.at

    def add(
        self,
        mesh: Mesh,
        material: int,
        at: tuple[float, float, float] | np.ndarray = (0, 0, 0),
        yaw: float = 0.0,
        turn: np.ndarray | None = None,
        smooth: bool = False,
    ) -> None:
        """As Scene.add, in the group's own coordinates."""
        self.scene.add(mesh, material, self.world(at), self.yaw + yaw, turn, smooth)


def yaw_matrix(angle: float) -> np.ndarray:
    """Rotation about z by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def any_rotation(rng: Generator) -> np.ndarray:
    """A uniformly random rotation matrix (3, 3)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def colour(
    rng: Generator, hue: float | None, saturation: tuple[float, float], value: tuple[float, float]
) -> np.ndarray:
    """A random linear RGB colour; ranges are in sRGB's HSV."""
    h = rng.choice([rng.random(), rng.normal(0.08, 0.05)]) if hue is None else hue + rng.normal() * 0.05
    low, high = saturation
    return np.array(colorsys.hsv_to_rgb(h % 1, low + (high - low) * rng.random() ** 1.6, rng.uniform(*value))) ** 2.2


def _palette(
    rng: Generator, hue: float | None, saturation: tuple[float, float], value: tuple[float, float], contrast: float
) -> np.ndarray:
    base = colour(rng, hue, saturation, value)
    others = np.stack([colour(rng, hue, saturation, value) for _ in range(4)])
    ramp = np.linspace(1 - contrast, 1 + contrast * 0.3, 4)[:, None]
    mixed = base * ramp * (1 - 0.6 * contrast) + others * 0.6 * contrast
    return np.clip(mixed, 0.003, 0.95)
