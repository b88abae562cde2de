# SPDX-License-Identifier: GPL-3.0-or-later
"""What is nearly plane becomes plane, planes meet in sharp edges, and what is round stays as it is."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.flats import flats, flattened
from scipy import ndimage

SIZE, FINE = 64, 256
ROWS, COLUMNS = np.indices((SIZE, SIZE)).astype(float)
OWN = np.zeros((SIZE, SIZE), bool)
OWN[8:56, 8:56] = True
INSIDE = np.minimum.reduce([np.arange(FINE) / 4 - 8, 56 - np.arange(FINE) / 4])
INSIDE = np.minimum.outer(INSIDE, INSIDE)


def rippled(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    """As a network says it: rounded over some pixels, with ripples of a third of one."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=depth.shape), 2.0)
    return ndimage.gaussian_filter(depth, 1.5) + 0.3 * noise / np.abs(noise).max()


def enlarged(depth: np.ndarray) -> np.ndarray:
    at = (np.arange(FINE) + 0.5) * SIZE / FINE - 0.5
    return ndimage.map_coordinates(depth, np.meshgrid(at, at, indexing="ij"), order=3, mode="nearest")


def roof(rows: np.ndarray, columns: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """A ridge towards the camera, or a valley, that is not parallel to the pixels."""
    return sign * np.abs(columns - 31.5 + 0.2 * (rows - 31.5)) * 0.9 + 0.1 * rows


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["ridge", "valley"])
def test_two_planes_meet_in_an_edge_as_sharp_as_the_grid(sign):
    said = rippled(roof(ROWS, COLUMNS, sign))
    found = flats(said, OWN)
    at = (np.arange(FINE) + 0.5) * SIZE / FINE - 0.5
    truth = roof(*np.meshgrid(at, at, indexing="ij"), sign)
    before, after = enlarged(said), flattened(enlarged(said), found, INSIDE)
    edge = (INSIDE > 6) & (np.abs(truth - 0.1 * at[:, None]) < 0.5)
    assert len(found) == 2
    assert np.abs(after - truth)[edge].mean() < 0.25 * np.abs(before - truth)[edge].mean()
    assert np.abs(after - truth)[INSIDE > 6].mean() < 0.5 * np.abs(before - truth)[INSIDE > 6].mean()


@pytest.mark.parametrize("radius", [26.0, 40.0])
def test_balls_and_cans_are_left_alone(radius):
    across = np.hypot(ROWS - 31.5, COLUMNS - 31.5), np.abs(COLUMNS - 31.5)
    for far in across:
        own = OWN & (far < 0.95 * radius)
        assert not flats(rippled(-np.sqrt(np.maximum(radius**2 - far**2, 1.0))), own)


def test_a_plane_ends_where_the_surface_leaves_it():
    bowl = np.maximum(0.0, 20.0 - np.hypot(ROWS - 31.5, COLUMNS - 31.5)) ** 2 / 40.0  # a hollow in a flat rim
    found = flats(rippled(bowl), OWN)
    after = flattened(enlarged(rippled(bowl)), found, INSIDE)
    assert found and np.abs(after - enlarged(bowl))[INSIDE > 4].max() < 1.6


def test_nothing_is_found_where_there_is_nothing():
    assert flats(np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE), bool)) == []
    wild = np.random.default_rng(1).normal(0, 20, (SIZE, SIZE))
    assert flattened(enlarged(wild), flats(wild, OWN), INSIDE) == pytest.approx(enlarged(wild))
