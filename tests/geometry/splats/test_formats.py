# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats as SPZ, PLY and GLB, and back."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest
from image_to_3d.tests.geometry.splats import some
from image_to_3d.worker.core import harmonics
from image_to_3d.worker.geometry.splats import gltf, ply, spz

DEGREES = pytest.mark.parametrize("degree", [0, 1, 2, 3])


@DEGREES
def test_spz_comes_back_as_precisely_as_its_columns_are(degree):
    there = some.splats(degree=degree)
    back = spz.decode(spz.encode(there))
    assert np.abs(back.centres - there.centres).max() <= 0.5 / (1 << 18) + 1e-7
    assert np.abs(np.log(back.scales / there.scales)).max() <= 1 / 32 + 1e-4
    assert np.abs(back.opacities - there.opacities).max() <= 0.5 / 255 + 1e-6
    assert np.abs(back.harmonics[:, 0] - there.harmonics[:, 0]).max() <= 0.5 / (0.15 * 255) + 1e-4
    turned = some.matrices(back.rotations) @ some.matrices(there.rotations).transpose(0, 2, 1)
    angle = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert angle.max() < 0.35
    if degree:
        assert np.abs(back.harmonics[:, 1:4] - there.harmonics[:, 1:4]).max() <= 4.5 / 128 + 1e-6
        assert np.abs(back.harmonics[:, 4:] - there.harmonics[:, 4:]).max(initial=0.0) <= 8.5 / 128 + 1e-6


def test_spz_is_bit_by_bit_what_niantics_description_says():
    one = some.splats(1, 0)
    one.centres[:] = (1.0, -0.5, 0.25)
    one.scales[:], one.opacities[:] = np.exp(-3.0), 1.0
    one.rotations[:] = (0.5, -0.5, 0.5, -0.5)  # all alike: the first in the order x, y, z, w is left out
    one.harmonics[:] = 0.0
    data = gzip.decompress(spz.encode(one))
    assert data[:16] == struct.pack("<IIIBBBB", 0x5053474E, 3, 1, 0, 18, 0, 0)
    assert data[16:25] == b"".join((round(v * (1 << 18)) & 0xFFFFFF).to_bytes(3, "little") for v in (1.0, -0.5, 0.25))
    assert data[25] == 255 and data[26:29] == b"\x80" * 3 and data[29:32] == bytes([112] * 3)
    size = round(0.5 * np.sqrt(2) * 511)  # x is negative, so all signs turn: y -, z +, w -
    packed = (0 << 30) | ((1 << 9 | size) << 20) | ((0 << 9 | size) << 10) | (1 << 9 | size)
    assert data[32:36] == struct.pack("<I", packed)


def test_the_same_splats_are_the_same_file():
    assert spz.encode(some.splats()) == spz.encode(some.splats())


def test_far_splats_take_bits_from_the_fraction():
    far = some.splats(50, 0, side=4000.0)
    back = spz.decode(spz.encode(far))
    assert np.abs(back.centres - far.centres).max() < 1e-3


@pytest.mark.parametrize(
    "damage", [lambda b: b[:100], lambda b: b"PK" + b, lambda b: gzip.compress(gzip.decompress(b)[:-5]), lambda b: b""]
)
def test_a_damaged_spz_is_one_sentence(damage):
    with pytest.raises(ValueError, match="SPZ") as caught:
        spz.decode(damage(spz.encode(some.splats())))
    assert "\n" not in str(caught.value)


def test_numbers_that_are_not_finite_are_refused():
    bad = some.splats(3)
    bad.centres[1, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        spz.encode(bad)


@DEGREES
def test_ply_comes_back(degree):
    there = some.splats(degree=degree)
    back = ply.decode(ply.encode(there))
    for name in ("centres", "scales", "harmonics", "opacities"):
        assert np.allclose(getattr(back, name), getattr(there, name), rtol=1e-4, atol=2e-6), name
    assert np.allclose(some.matrices(back.rotations), some.matrices(there.rotations), atol=1e-5)


def test_plys_axes_are_those_of_its_viewers_and_colours_turn_with_them():
    there = some.splats()
    content = ply.encode(there)
    raw = np.frombuffer(content.partition(b"end_header\n")[2], "<f4").reshape(len(there), -1)
    half_turn = np.diag([1.0, -1.0, -1.0])
    assert np.allclose(raw[:, :3], there.centres @ half_turn, atol=1e-6)
    directions = np.random.default_rng(1).normal(size=(len(there), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    coefficients = np.concatenate([raw[:, None, 6:9], raw[:, 9:54].reshape(-1, 3, 15).transpose(0, 2, 1)], 1)
    seen = harmonics.colours(coefficients, directions @ half_turn)
    assert np.allclose(seen, harmonics.colours(there.harmonics, directions), atol=1e-5)
    assert np.allclose(some.matrices(raw[:, -4:]), half_turn @ some.matrices(there.rotations), atol=1e-5)


@pytest.mark.parametrize("damage", [lambda b: b[:-50], lambda b: b.replace(b"opacity", b"opaque"), lambda b: b"ply\n"])
def test_a_damaged_ply_is_one_sentence(damage):
    with pytest.raises(ValueError, match="PLY"):
        ply.decode(damage(ply.encode(some.splats())))


@DEGREES
def test_glb_comes_back_and_is_what_the_extension_says(degree):
    there = some.splats(degree=degree)
    content = gltf.encode(there, "thing")
    back = gltf.decode(content)
    for name in ("centres", "scales", "harmonics", "opacities", "rotations"):
        assert np.array_equal(getattr(back, name), getattr(there, name)), name
    document = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    [primitive] = document["meshes"][0]["primitives"]
    assert primitive["mode"] == 0 and document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    assert primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"
    assert sum(":SH_DEGREE_" in name for name in primitive["attributes"]) == (degree + 1) ** 2


def test_harmonics_are_orthonormal():
    directions = np.random.default_rng(0).normal(size=(400_000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = harmonics.basis(directions, 3)
    assert np.allclose(4 * np.pi * found.T @ found / len(directions), np.eye(16), atol=0.03)
    half = directions * (1, -1, -1)
    assert np.allclose(harmonics.basis(half, 3), found * harmonics.HALF_TURN, atol=1e-12)
