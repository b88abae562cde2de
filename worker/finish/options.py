# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of what becomes of each representation. Imports nothing heavy: the panel is drawn from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..core.errors import Invalid
from ..core.options import option


def _faces(default: int) -> int:
    return option(
        default, "Faces at Most", "Triangles of the mesh; a plain shape has fewer.", 100, 4_000_000, unit="faces"
    )


def _texture(default: int, help: str = "Longer side of the texture.") -> int:
    return option(default, "Texture", help, 64, 8192, unit="pixels")


def _size(zero: str) -> float:
    return option(2.0, "Size", f"Longest side of the mesh. 0: {zero}", 0.0, 10000.0, unit="metres", group="placement")


def _origin() -> str:
    return option("base", "Origin", "Where the object's origin lies.", choices=("base", "centre"), group="placement")


def _fov() -> float:
    help = "Across the photo's longer side. 0: from the network or the photo's own data, else the usual."
    shown = {"unit": "degrees", "group": "picture", "zero": "automatic", "usual": 50.0}
    return option(0.0, "Field of View", help, 0.0, 150.0, **shown)


@dataclass(frozen=True)
class DepthMapOptions:
    """Of a relief. grid: points along the longer side before simplification. near, far: metres. fov: degrees, 0 as the
    picture says."""

    fov: float = _fov()
    near: float = option(
        1.0,
        "Nearest",
        "Distance of the nearest point, for networks that know no scale.",
        0.01,
        1000.0,
        unit="metres",
        group="picture",
    )
    far: float = option(
        0.0,
        "Farthest",
        "Distance of the farthest point: smaller is flatter. 0: as the network says, else four times the nearest.",
        0.0,
        10000.0,
        unit="metres",
        group="picture",
        zero="automatic",
        usual=4.0,
    )
    grid: int = option(576, "Grid", "Points along the longer side before simplification.", 32, 2048, unit="pixels")
    faces: int = _faces(100_000)
    texture: int = _texture(2048, "Longer side of the texture, never larger than the photo.")
    cut: bool = option(True, "Cut at Edges", "Cut the surface where one thing stands in front of another.")
    behind: bool = option(
        True, "Behind Edges", "Let what is far go on behind what is near, so that no hole opens beside it."
    )
    background: str = option(
        "auto",
        "Background",
        "auto: cut away what the photo's transparency marks. cut: a plain background too. keep: everything stays.",
        choices=("auto", "cut", "keep"),
        group="picture",
    )
    solid: bool = option(
        False, "Solid", "Close it to a shell of even thickness that can be printed, without the sky.", group="placement"
    )
    size: float = _size("as the depth says. Metric networks keep their metres.")
    origin: str = _origin()

    def __post_init__(self) -> None:
        if self.far and not self.near < self.far:
            message = f"the nearest distance ({self.near:g} m) must be smaller than the farthest ({self.far:g} m)"
            raise Invalid(message)


@dataclass(frozen=True)
class LayersOptions:
    """Of a closed thing with a front and a back. fov: degrees, 0 as the picture says. grid: cells along the thing."""

    fov: float = _fov()
    grid: int = option(
        160, "Grid", "Cells along the thing from which its surface is made: a finer outline, more time.", 32, 512
    )
    faces: int = _faces(15_000)
    texture: int = _texture(2048)
    upright: str = option(
        "auto",
        "Upright",
        "auto: as the network believes the thing stands. camera: as the camera was held.",
        choices=("auto", "camera"),
        group="placement",
    )
    size: float = _size("as the layers say.")
    origin: str = _origin()


@dataclass(frozen=True)
class FieldOptions:
    """Of a field's surface. grid: cells along the longest side of its box. smooth: rounds. photo: whether photos are
    projected onto what they see."""

    grid: int = option(
        256,
        "Grid",
        "Cells along the field's longest side from which the surface is made: finer detail, more time.",
        32,
        1024,
    )
    faces: int = _faces(50_000)
    texture: int = _texture(1024)
    photo: bool = option(
        True,
        "Photo Texture",
        "Where the photo sees the surface, use its own sharp pixels; the field colours the rest.",
    )
    smooth: int = option(20, "Smoothing", "Rounds of smoothing that keep the volume. 0: as the field says.", 0, 100)
    size: float = _size("as the field says.")
    origin: str = _origin()


@dataclass(frozen=True)
class SplatsOptions:
    """Of splats, and of the mesh that is made of them where the file is a GLB. grid: cells along the longest side."""

    grid: int = option(
        128,
        "Grid",
        "Cells along the longest side from which a mesh is made of the splats: finer detail, more time.",
        32,
        512,
    )
    faces: int = _faces(50_000)
    texture: int = _texture(1024)
    size: float = _size("as the splats say.")
    origin: str = _origin()


@dataclass(frozen=True)
class ViewsOptions:
    """Of a thing seen from several sides. grid: cells along the longest side of its box."""

    grid: int = option(160, "Grid", "Cells along the thing from which its surface is made: finer, more time.", 32, 512)
    faces: int = _faces(25_000)
    texture: int = _texture(2048)
    size: float = _size("as the views say.")
    origin: str = _origin()


@dataclass(frozen=True)
class ApartOptions:
    """Of a thing and the scene that it stands in; size and origin are the scene's, of both together."""

    thing: LayersOptions
    scene: DepthMapOptions


@dataclass(frozen=True)
class Finish:
    """What becomes of a type of representation. module: beside this file, with `finished(found, options, job)`."""

    options: type
    module: str


TABLE = {
    "DepthMap": Finish(DepthMapOptions, ".depth_map"),
    "Layers": Finish(LayersOptions, ".layers"),
    "Apart": Finish(ApartOptions, ".apart"),
    "Field": Finish(FieldOptions, ".field"),
    "Splats": Finish(SplatsOptions, ".splats"),
    "Views": Finish(ViewsOptions, ".views"),
}
"""By the name of the representation (core.representations): its type decides, here and nowhere else."""


def of_type(name: str, options: Any) -> Any:
    """The options for representations of that type, with the values of another type's where both have them."""
    kind = TABLE[name].options
    return kind(**{each.name: getattr(options, each.name) for each in fields(kind) if hasattr(options, each.name)})
