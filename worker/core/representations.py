# SPDX-License-Identifier: GPL-3.0-or-later
"""What methods return: learned 3D representations, with axes, units and signs stated here and nowhere else.

Each carries the views (pictures, masks, cameras) that it was made of, and `to_arrays`: plain arrays as they are kept in
a cache, without the pictures, of which its method makes the same again. Must not know networks, meshes or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from .view import PinholeCamera, View, Window


class Representation(Protocol):
    """What all of them have. notes: sentences for the user about how it was made."""

    @property
    def views(self) -> tuple[View, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def to_arrays(self) -> Mapping[str, np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class DepthMap:
    """One picture's inverse depth, row 0 on top.

    inverse_depth: (H, W) float32, at least 0 and finite; larger is nearer, 0 is infinitely far.
    metric: True if it is 1 / z in metres; False if it is known only up to a scale and a shift (affine-invariant).
    valid: (H, W) bool, False where there is no surface.
    view: the picture, of any number of pixels, and the camera in whose axes the depth is.
    proportional: True if it is 1 / z in a unit that nobody knows, so that angles are right though it is not metric.
    uncertainty: (H, W) float32, how far ln z is believed to be wrong on average, or None where the network tells none.
    normals: (H, W, 3) float32 unit vectors from the surface towards the camera, in its axes, or None.
    salient: (H, W) float32 in [0, 1], how surely a pixel is of the thing that the picture is of, or None.
    """

    inverse_depth: np.ndarray
    metric: bool
    valid: np.ndarray
    view: View
    notes: tuple[str, ...] = ()
    proportional: bool = False
    uncertainty: np.ndarray | None = None
    normals: np.ndarray | None = None
    salient: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = self.inverse_depth.shape
        if self.inverse_depth.ndim != 2 or self.valid.shape != shape:
            raise ValueError(f"depth map of shape {shape} with a mask of shape {self.valid.shape}")
        if any(part is not None and part.shape[:2] != shape for part in self._offered.values()):
            raise ValueError(f"depth map of shape {shape} with parts of another")

    @property
    def _offered(self) -> dict[str, np.ndarray | None]:
        return {"uncertainty": self.uncertainty, "normals": self.normals, "salient": self.salient}

    @property
    def views(self) -> tuple[View, ...]:
        return (self.view,)

    def to_arrays(self) -> dict[str, np.ndarray]:
        kinds = {"metric": np.array(self.metric), "proportional": np.array(self.proportional)}
        facts = {**kinds, "focal": np.array(self.view.camera.fx), "notes": _kept(self.notes)}
        offered = {name: part for name, part in self._offered.items() if part is not None}
        return {"inverse_depth": self.inverse_depth, "valid": self.valid, **facts, **offered}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], view: View) -> DepthMap:
        notes, metric = tuple(arrays["notes"].tolist()), bool(arrays["metric"])
        offered = [arrays.get(name) for name in ("uncertainty", "normals", "salient")]
        proportional = bool(arrays["proportional"])
        return cls(arrays["inverse_depth"], metric, arrays["valid"], view, notes, proportional, *offered)

    def redrawn(self, inverse_depth: np.ndarray, valid: np.ndarray) -> DepthMap:
        """Another depth of the same view, of any size, without what was offered with the old one."""
        return DepthMap(inverse_depth, self.metric, valid, self.view, self.notes, self.proportional)

    def with_unit(self, near: float) -> DepthMap:
        """As metric, where it is proportional: its nearest valid pixels (1st percentile) lie `near` metres away."""
        if self.metric or not self.proportional or not self.valid.any():
            return self
        nearest = max(float(np.percentile(self.inverse_depth[self.valid], 99.0)), 1e-12)
        return replace(self, inverse_depth=self.inverse_depth / np.float32(nearest * near), metric=True)

    def depth(self, near: float, far: float) -> np.ndarray:
        """Depth along the optical axis, (H, W) float32 in metres, NaN where there is no surface.

        Metric maps are inverted as they are and only clipped to `far`. Relative maps know neither scale nor shift, so
        their nearest and farthest valid pixels (1st and 99th percentile, against outliers) are put at `near` and `far`,
        linearly in inverse depth; what lies beyond is clipped to a tenth outside of that range.
        """
        if not 0.0 < near < far:
            raise ValueError(f"depth range must satisfy 0 < near < far, not {near:g} and {far:g}")
        depth = np.full(self.inverse_depth.shape, np.nan, np.float32)
        if not self.valid.any():
            return depth
        inverse = self.inverse_depth[self.valid].astype(np.float32)
        if not self.metric:
            low, high = np.percentile(inverse, (1.0, 99.0))
            if high - low < 1e-6 * max(abs(high), 1e-12):
                inverse = np.full_like(inverse, 1.0 / near)
            else:
                t = np.clip((inverse - low) / (high - low), -0.1, 1.1)
                inverse = np.maximum(1.0 / far + t * (1.0 / near - 1.0 / far), 1.0 / (1.1 * far))
        depth[self.valid] = 1.0 / np.maximum(inverse, 1.0 / far if self.metric else 1e-9)
        return depth


@dataclass(frozen=True, eq=False)
class Layers:
    """A thing cut out of a picture: its first and its last surface along each line of sight, row 0 on top.

    front, back: (S, S) float32 depth in half sides of the window at the thing's own distance, zero at its mean
    mid-depth, larger is farther: half a side of depth is as long as half a side of width. Only the thing's own pixels
    mean something. back_colour: (S, S, 3) uint8 sRGB of the last surface, seen from the front. window: where in the
    picture the layers lie. view: the picture, with the thing's mask. up: (3,) float32 unit vector against gravity in
    the camera's axes (x right, y down, z forward), or None where the network tells none.
    """

    front: np.ndarray
    back: np.ndarray
    back_colour: np.ndarray
    window: Window
    view: View
    notes: tuple[str, ...] = ()
    up: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.front.ndim != 2 or self.back.shape != self.front.shape or self.back_colour.shape[:2] != self.back.shape:
            shapes = self.front.shape, self.back.shape, self.back_colour.shape
            raise ValueError(f"layers of shapes {shapes} do not fit each other")

    @property
    def views(self) -> tuple[View, ...]:
        return (self.view,)

    def to_arrays(self) -> dict[str, np.ndarray]:
        window = np.array([self.window.left, self.window.top, self.window.side])
        layers = {"front": self.front, "back": self.back, "back_colour": self.back_colour, "window": window}
        layers |= {"focal": np.array(self.view.camera.fx)}
        up = {} if self.up is None else {"up": self.up}
        return {**layers, **up, "mask": self.view.mask, "notes": _kept(self.notes)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], view: View) -> Layers:
        window, notes = Window(*map(int, arrays["window"])), tuple(arrays["notes"].tolist())
        return cls(arrays["front"], arrays["back"], arrays["back_colour"], window, view, notes, arrays.get("up"))


@dataclass(frozen=True, eq=False)
class Front:
    """What is known of a thing's front before the rest of it is guessed.

    depth: (S, S) float32 as in Layers, in the window that Layers of the same picture have. where: (S, S) bool, where
    that is known. shift, scale: whether those are the thing's own, or arbitrary. off: half sides by which it may be
    wrong, on average.
    """

    depth: np.ndarray
    where: np.ndarray
    shift: bool
    scale: bool
    off: float


@dataclass(frozen=True, eq=False)
class Begun:
    """A shape that is there before a method refines it, in axes with y up.

    vertices: (V, 3). faces: (F, 3), counter-clockwise seen from outside. view: a picture of the thing with its mask and
    its camera. seen: (N, 3) points of its surface that depth shows in the picture; none where nothing does.
    """

    vertices: np.ndarray
    faces: np.ndarray
    view: View
    seen: np.ndarray


@dataclass(frozen=True, eq=False)
class Apart:
    """A thing, and the scene that it stands in, of one picture. scene: with the thing still in it."""

    thing: Layers
    scene: DepthMap

    @property
    def views(self) -> tuple[View, ...]:
        return (self.scene.view,)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.scene.notes, *self.thing.notes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        parts = {"thing": self.thing, "scene": self.scene}
        return {f"{part} {name}": values for part, of in parts.items() for name, values in of.to_arrays().items()}


@dataclass(frozen=True, eq=False)
class Field:
    """A solid as a function of space, in axes of its own.

    value: points (N, 3) float32 -> (N,) float32, positive inside, zero on the surface, negative outside, and as nearly
    linear across the surface as it can be: a density as the logarithm of it and its threshold's ratio, a signed
    distance with its sign turned. colour: points (N, 3) float32 -> (N, 3) float32 sRGB in [0, 1], or None where the
    field has none. bounds: (2, 3) float64, the box in which the surface lies.
    to_gltf: (3, 3) float64 rotation from the field's axes to glTF's (+Y up, the front faces +Z).
    arrays: makes what the method makes the same field of again. views: what it was made of, in the field's axes; where
    its texture comes from. known: points (N, 3) float32 -> (N,) bool, where a surface is what was seen; None:
    everywhere.
    """

    value: Callable[[np.ndarray], np.ndarray]
    colour: Callable[[np.ndarray], np.ndarray] | None
    bounds: np.ndarray
    to_gltf: np.ndarray
    arrays: Callable[[], Mapping[str, np.ndarray]]
    views: tuple[View, ...] = ()
    notes: tuple[str, ...] = ()
    known: Callable[[np.ndarray], np.ndarray] | None = None

    def to_arrays(self) -> Mapping[str, np.ndarray]:
        return self.arrays()


@dataclass(frozen=True, eq=False)
class Distances:
    """A shape as signed distances at the corners of cubes, positive inside as a field's.

    values: (X, Y, Z) float16 or float32, in the unit of the world. low: (3,) float64, the first corner. spacing: the
    cubes' side. known: (X, Y, Z) bool, near which corners of a place its surface was seen; None: it is closed.
    """

    values: np.ndarray
    low: np.ndarray
    spacing: float
    known: np.ndarray | None = None

    @property
    def bounds(self) -> np.ndarray:
        """(2, 3) float64."""
        return self.low + np.outer((0, 1), np.array(self.values.shape) - 1) * self.spacing


@dataclass(frozen=True, eq=False)
class Splats:
    """A scene as coloured Gaussians (Kerbl et al. 2023, arXiv:2308.04079), in glTF's axes (x right, y up, z back) and
    in metres; all values are what is rendered, not logarithms or logits.

    centres: (N, 3) float32. scales: (N, 3) float32, standard deviations along the splat's own axes, positive.
    rotations: (N, 4) float32 unit quaternions (w, x, y, z) from the splat's axes to the scene's. opacities: (N,)
    float32 in (0, 1], at the centre. harmonics: (N, K, 3) float32 with K = 1, 4, 9 or 16: coefficients of the real
    spherical harmonics of degree 0 to 3, in the order and with the signs of the published code (see
    core/harmonics.py), of display-referred sRGB less a half, by the direction from the camera to the centre.
    views: what they were made of, in glTF's axes. seen: of a view, how far it sees into them: the depth along its axis
    (H, W) at which half of the light is stopped, 0 where it never is, and opacity (H, W); None where nobody renders
    them. shape: the surface on which they began: of a thing that was cut out within its outlines, of a place what
    several photos see.
    """

    centres: np.ndarray
    scales: np.ndarray
    rotations: np.ndarray
    opacities: np.ndarray
    harmonics: np.ndarray
    views: tuple[View, ...] = ()
    notes: tuple[str, ...] = ()
    seen: Callable[[View], tuple[np.ndarray, np.ndarray]] | None = None
    shape: Distances | None = None

    def __post_init__(self) -> None:
        count = len(self.centres)
        wanted = {"centres": (count, 3), "scales": (count, 3), "rotations": (count, 4), "opacities": (count,)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of shape {getattr(self, name).shape} for {count} splats")
        if self.harmonics.shape[0] != count or self.harmonics.shape[1:] not in ((1, 3), (4, 3), (9, 3), (16, 3)):
            raise ValueError(f"harmonics of shape {self.harmonics.shape} for {count} splats")

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def degree(self) -> int:
        """Of the harmonics, 0 to 3."""
        return round(self.harmonics.shape[1] ** 0.5) - 1

    def to_arrays(self) -> dict[str, np.ndarray]:
        names = ("centres", "scales", "rotations", "opacities", "harmonics")
        shape = self.shape
        kept = {} if shape is None else {"shape": shape.values, "shape_at": np.array([*shape.low, shape.spacing])}
        kept |= {"shape_known": np.packbits(shape.known)} if shape and shape.known is not None else {}
        return {**{name: getattr(self, name) for name in names}, "notes": _kept(self.notes), **kept}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], views: tuple[View, ...]) -> Splats:
        names = ("centres", "scales", "rotations", "opacities", "harmonics")
        shape = None
        if "shape" in arrays:
            *low, spacing = arrays["shape_at"].tolist()
            values, known = np.asarray(arrays["shape"]), arrays.get("shape_known")
            known = known if known is None else np.unpackbits(known, count=values.size).reshape(values.shape) > 0
            shape = Distances(values, np.array(low), spacing, known)
        return cls(*(arrays[name] for name in names), views, tuple(arrays["notes"].tolist()), shape=shape)

    def chosen(self, which: np.ndarray) -> Splats:
        """Those that an index or a mask names."""
        names = ("centres", "scales", "rotations", "opacities", "harmonics")
        return replace(self, **{name: getattr(self, name)[which] for name in names})


@dataclass(frozen=True, eq=False)
class Views:
    """Pictures of one thing from several sides, in one world with glTF's axes (+Y up, the front faces +Z).

    pictures: each with its camera, colours, mask, and confidence; a photo has no confidence, and is believed
    everywhere. depths: of each, (H, W) float32 along the optical axis in the world's unit, inf where nothing is.
    layers: of the first picture, where the thing is known as such: its shape, finer than the depths of views tell it.
    """

    pictures: tuple[View, ...]
    depths: tuple[np.ndarray, ...]
    notes: tuple[str, ...] = ()
    layers: Layers | None = None

    def __post_init__(self) -> None:
        shapes = [(view.camera.height, view.camera.width) for view in self.pictures]
        if shapes != [depth.shape for depth in self.depths]:
            raise ValueError(f"views of {shapes} pixels with depths of {[depth.shape for depth in self.depths]}")

    @property
    def views(self) -> tuple[View, ...]:
        """The photos."""
        return tuple(view for view in self.pictures if view.confidence is None)

    def to_arrays(self) -> dict[str, np.ndarray]:
        found = {"notes": _kept(self.notes), "count": np.array(len(self.pictures))}
        for number, (view, depth) in enumerate(zip(self.pictures, self.depths)):
            camera = view.camera
            found[f"camera {number}"] = np.array([*(camera.fx, camera.fy, camera.cx, camera.cy), *_pose(view)])
            found |= {f"depth {number}": depth, f"mask {number}": view.mask}
            if view.confidence is not None:  # of a photo its method makes the same again
                found |= {f"rgb {number}": view.rgb, f"confidence {number}": view.confidence}
        layers = self.layers.to_arrays() if self.layers else {}
        return found | {f"{_OF_LAYERS}{name}": values for name, values in layers.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], photo: np.ndarray) -> Views:
        """photo: (H, W, 3) uint8 sRGB, the picture of the views that have no confidence."""
        own = {name[len(_OF_LAYERS) :]: values for name, values in arrays.items() if name.startswith(_OF_LAYERS)}
        pictures, depths = [], []
        for number in range(int(arrays["count"])):
            depth, values = arrays[f"depth {number}"], arrays[f"camera {number}"]
            camera = PinholeCamera(depth.shape[1], depth.shape[0], *map(float, values[:4]))
            pose = values[4:13].reshape(3, 3), values[13:]
            rgb, mask = arrays.get(f"rgb {number}", photo), arrays[f"mask {number}"]
            pictures.append(View(camera, *pose, rgb, mask, confidence=arrays.get(f"confidence {number}")))
            depths.append(depth)
        layers = Layers.from_arrays(own, pictures[0]) if own else None
        return cls(tuple(pictures), tuple(depths), tuple(arrays["notes"].tolist()), layers)


_OF_LAYERS = "layers "
"""Before the names of arrays that are those of a view's layers."""


def _pose(view: View) -> np.ndarray:
    """(12,) float64: the rotation's rows, then the position."""
    return np.concatenate([view.rotation.ravel(), view.position])


def _kept(notes: tuple[str, ...]) -> np.ndarray:
    return np.array(notes, np.str_)
