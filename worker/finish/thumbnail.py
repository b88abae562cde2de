# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of a mesh, textured and as clay, without a graphics card. Must not know who looks at them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from ..core.camera_info import CameraInfo
from ..core.view import PinholeCamera, View
from ..geometry.glb_reading import read_glb
from ..geometry.mesh import Mesh
from ..geometry.texturing.projection import moved
from ..geometry.texturing.rasterise import Covered, first_seen, projected

FOV, YAW, PITCH = 30.0, 25.0, 15.0
"""Degrees: the camera's field of view, and how far beside and above the front it stands: a shape is seen there that the
photo's own place hides."""

PLACE_YAW, PLACE_PITCH, PLACE_NEAR = 8.0, 4.0, 30.0
"""Of an open surface, as of a room or a street: degrees beside and above the photo's own place, and the percentage of
the points before it that are nearer than what is walked around. At 25 degrees a street is hard to make out."""

_FINER = 1.5  # pixels are drawn so much smaller, and averaged; 2 looks the same beside it, and takes half as long again
_CLAY = 0.72  # sRGB of what faces the light
_LIGHT = np.array([-0.4, 0.7, 0.6])  # from where it comes, beside the camera: x right, y up, z towards it


def drawn(mesh: Mesh, size: int, photo: CameraInfo | None = None, clay: bool = True) -> list[np.ndarray]:
    """(size, size, 4) uint8 sRGB with alpha: with the mesh's texture, and where asked for as clay. Faces are seen from
    both sides. photo: the camera of an open surface, from near which it is seen; a closed one is from beside its
    front."""
    fine = round(size * _FINER)
    view = _beside(mesh, fine) if photo is None else _near(mesh, fine, photo)
    found = first_seen(mesh.vertices, mesh.faces, view)
    has_texture = mesh.texture is not None and mesh.uv is not None
    ways = [*([_textured] * has_texture), *([_shaded] * (clay or not has_texture))]
    pictures = [_picture(way(mesh, found, view), found.pixel, fine, size) for way in ways]
    return pictures if has_texture or not clay else 2 * pictures


def drawn_of(path: Path, size: int, photo: CameraInfo | None = None) -> np.ndarray:
    """As `drawn`, with its texture, of the first thing in a GLB, from near the photo where it is open. Raises
    Unable."""
    read = read_glb(path)
    own = read.page == read.page[0]
    corners, page = read.corners[own], read.page[0]
    faces = np.arange(3 * len(corners), dtype=np.int32).reshape(-1, 3)
    mesh = Mesh(corners.reshape(-1, 3), faces, read.uv[own].reshape(-1, 2))
    mesh = mesh if page < 0 else replace(mesh, texture=read.pages[page])
    return drawn(mesh, size, photo if read.double_sided else None)[0]


def _beside(mesh: Mesh, size: int) -> View:
    """The view of the whole mesh from beside and above its front (+Z)."""
    yaw, pitch = math.radians(YAW), math.radians(PITCH)
    back = np.array([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
    rotation = np.stack([right, -np.cross(back, right), -back])
    low, high = mesh.bounds.astype(np.float64)
    radius = float(np.linalg.norm(mesh.vertices - (low + high) / 2.0, axis=1).max())
    away = 1.02 * max(radius, 1e-9) / math.sin(math.radians(FOV) / 2.0)
    return View(PinholeCamera.from_fov(size, size, FOV), rotation, (low + high) / 2.0 + away * back)


def _near(mesh: Mesh, size: int, photo: CameraInfo) -> View:
    """The view from a little beside the photo's own place, with the photo's longer side along the picture's."""
    w, *axis = photo.rotation
    rotation = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_quat([*axis, w]).as_matrix().T
    camera = PinholeCamera.from_fov(size, size, photo.fov_degrees)
    camera = replace(camera, cx=(0.5 - photo.shift[0]) * size, cy=(0.5 + photo.shift[1]) * size)
    view = View(camera, rotation, np.array(photo.position))
    depth = projected(mesh.vertices, view)[:, 2]
    ahead = depth[depth > 0]
    if not len(ahead):
        return view
    pivot = view.position + rotation[2] * np.percentile(ahead, PLACE_NEAR)
    return moved(view, np.array([0.0, 0.0, 0.0, -math.radians(PLACE_PITCH), math.radians(PLACE_YAW)]), pivot, 1.0)


def _textured(mesh: Mesh, found: Covered, view: View) -> np.ndarray:
    """(N, 3) uint8: of each pixel the nearest texel, as several pixels are averaged."""
    height, width, channels = mesh.texture.shape
    u, v = found.interpolated(mesh.uv, mesh.faces).T
    column, row = (np.clip(each * side, 0, side - 1).astype(np.int64) for each, side in ((u, width), (v, height)))
    return np.take(mesh.texture.reshape(-1, channels), row * width + column, axis=0)[:, :3]


def _shaded(mesh: Mesh, found: Covered, view: View) -> np.ndarray:
    """(N, 1) uint8 greys of a matt surface."""
    normals = found.interpolated(mesh.with_normals().normals, mesh.faces)
    local = normals @ view.rotation.T * np.float32([1.0, -1.0, -1.0])
    local *= np.where(local[:, 2:] < 0.0, -1.0, 1.0)  # what is turned away is the inside of an open surface
    local /= np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-9)
    light = np.clip(local @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    return np.rint(255.0 * _CLAY * (0.25 + 0.75 * light)).astype(np.uint8)[:, None]


def _picture(values: np.ndarray, pixel: np.ndarray, fine: int, size: int) -> np.ndarray:
    """(size, size, 4) of what pixels of the finer picture, of `fine` along each side, show."""
    drawn = np.full((len(pixel), 4), 255, np.uint8)
    drawn[:, :3] = values
    rgba = np.zeros((fine, fine, 4), np.uint8)
    rgba.view(np.uint32).ravel()[pixel] = drawn.view(np.uint32).ravel()  # four times as fast as bytes
    return np.asarray(Image.fromarray(rgba).resize((size, size), Image.Resampling.BOX))
