# SPDX-License-Identifier: GPL-3.0-or-later
"""Detail synthesised from patches: it looks like the photo's, keeps the wanted colours, and is the same each time."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.texturing.synthesis import _basis, synthesised
from scipy import ndimage

SIDE = 96


def stripes(across: float = 6.0) -> np.ndarray:
    column = np.mgrid[:SIDE, :SIDE][1]
    return (np.where(column % across < across / 2, 200.0, 80.0)[..., None] * np.ones(3)).astype(np.float32)


def disc() -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return rows**2 + columns**2 < (0.44 * SIDE) ** 2


def detail(values: np.ndarray, mask: np.ndarray) -> float:
    """Mean deviation from the blurred values, well within the mask."""
    core = ndimage.binary_erosion(mask, iterations=8)
    return float(np.abs(values - ndimage.gaussian_filter(values, (4, 4, 0)))[core].mean())


def test_a_blurred_guide_gets_the_photos_stripes():
    mask = disc()
    guide = np.full((SIDE, SIDE, 3), 140.0, np.float32)
    made = synthesised(guide, mask, stripes(), mask)
    assert detail(made, mask) > 0.6 * detail(stripes(), mask) and detail(guide, mask) < 1.0
    core = ndimage.binary_erosion(mask, iterations=8)
    down, right = (
        np.abs(np.diff(made[..., 0], axis=axis))[core[: SIDE - (axis == 0), : SIDE - (axis == 1)]].mean()
        for axis in (0, 1)
    )
    assert right > 2 * down


def test_colours_stay_as_the_guide_wants_them():
    mask = disc()
    guide = np.zeros((SIDE, SIDE, 3), np.float32) + np.linspace(40.0, 200.0, SIDE)[:, None, None]
    made = synthesised(guide, mask, stripes(), mask)
    blurred = ndimage.gaussian_filter(made, (6, 6, 0))
    core = ndimage.binary_erosion(mask, iterations=14)
    assert np.abs(blurred - guide)[core].mean() < 12.0
    assert (made[~mask] == guide[~mask]).all()


def test_the_same_seed_gives_the_same():
    mask = disc()
    guide = np.full((SIDE, SIDE, 3), 140.0, np.float32)
    photo = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    first, again, other = (synthesised(guide, mask, photo, mask, seed) for seed in (0, 0, 1))
    assert (first == again).all() and not (first == other).all()


@pytest.mark.parametrize("shown", [np.zeros((SIDE, SIDE), bool), np.eye(SIDE, dtype=bool)], ids=["nothing", "a line"])
def test_where_the_photo_shows_too_little_the_guide_stays(shown):
    guide = np.full((SIDE, SIDE, 3), 140.0, np.float32)
    assert synthesised(guide, disc(), stripes(), shown) == pytest.approx(guide)
    assert np.isfinite(synthesised(guide, np.zeros((SIDE, SIDE), bool), stripes(), disc())).all()


def test_what_is_seen_once_is_not_seen_again_behind():
    """A mottled thing with one dark spot, an eye: what is synthesised is mottled, and has none, even where it is
    said to be a little darker."""
    mask, rng = disc(), np.random.default_rng(2)
    mottled = 40 * ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 1.5)
    far = np.hypot(*(np.mgrid[:SIDE, :SIDE] - np.array([30, 40])[:, None, None]))
    photo = ((150 + mottled - 130 * np.clip(5.5 - far, 0, 1))[..., None] * np.ones(3)).astype(np.float32)
    made = synthesised(ndimage.gaussian_filter(photo, (5, 5, 0)), mask, photo, mask)
    core = ndimage.binary_erosion(mask, iterations=6)
    assert made[core].min() > 70 and made[core].std() > 0.4 * mottled[core].std()


def test_patches_are_compared_by_nearly_all_in_which_they_differ():
    dice = np.random.default_rng(0)
    spectrum = 0.9 ** np.arange(80)
    features = (dice.normal(size=(2000, 80)) * spectrum) @ np.linalg.qr(dice.normal(size=(80, 80)))[0]
    centred = features - features.mean(axis=0)
    basis = _basis(features)
    most = np.linalg.eigvalsh(centred.T @ centred)[-basis.shape[1] :].sum()
    assert np.abs(basis.T @ basis - np.eye(basis.shape[1])).max() < 1e-6
    assert np.trace(basis.T @ centred.T @ centred @ basis) > 0.999 * most
