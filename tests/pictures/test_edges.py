# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
from image_to_3d.worker.pictures.edges import decontaminated, refined
from PIL import Image
from scipy import ndimage


def scene(height: int = 480, width: int = 640) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wavy leaf before sand: photo uint8, the leaf's share float32, and the leaf's own colours uint8."""
    rows, columns = np.mgrid[:height, :width]
    angle = np.arctan2(rows - height / 2, columns - width / 2)
    radius = 0.3 * height * (1 + 0.25 * np.sin(7 * angle))
    share = np.clip(radius - np.hypot(rows - height / 2, columns - width / 2) + 0.5, 0, 1).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 1))
    leaf = np.clip(np.array([40.0, 120.0, 50.0]) + noise, 0, 255)
    sand = np.clip(np.array([210.0, 180.0, 140.0]) + noise[::-1], 0, 255)
    photo = share[..., None] * leaf + (1 - share[..., None]) * sand
    return photo.astype(np.uint8), share, leaf.astype(np.uint8)


def smeared(share: np.ndarray, size: int) -> np.ndarray:
    small = np.asarray(Image.fromarray(share).resize((size, size), Image.Resampling.BOX))
    return ndimage.gaussian_filter(small, 0.8)


def test_a_small_smeared_matte_comes_to_the_photos_edge():
    photo, share, _ = scene()
    matte = smeared(share, 80)
    blown_up = np.asarray(Image.fromarray(matte).resize(share.shape[::-1], Image.Resampling.BICUBIC))
    before, after = (np.abs(values - share).mean() for values in (blown_up, refined(matte, photo)))
    assert after < before / 50


def test_a_photo_larger_than_is_refined_keeps_its_size():
    photo = np.zeros((20, 3000, 3), np.uint8)
    photo[:, 1500:] = 255
    matte = np.zeros((32, 32), np.float32)
    matte[:, 16:] = 1
    found = refined(matte, photo)
    assert found.shape == (20, 3000)
    assert (found[:, :1490] < 0.05).all() and (found[:, 1510:] > 0.95).all()


def test_a_photo_that_says_nothing_leaves_the_matte_where_it_was():
    matte = smeared(scene()[1], 64)
    found = refined(matte, np.full((64, 64, 3), 90, np.uint8))
    assert ((found > 0.5) == (matte > 0.5)).mean() > 0.97 and np.isfinite(found).all()


def test_the_background_goes_out_of_the_outlines_colours_and_nothing_else_changes():
    photo, share, leaf = scene()
    share = ndimage.gaussian_filter(share, 2.0)
    soft = (share[..., None] * leaf + (1 - share[..., None]) * np.array([210, 180, 140])).astype(np.uint8)
    alpha = np.rint(255 * share).astype(np.uint8)
    cleaned = decontaminated(soft, alpha)
    rim = (alpha > 25) & (alpha < 230)
    before, after = (np.abs(values[rim].astype(float) - leaf[rim]).mean() for values in (soft, cleaned))
    assert after < before / 12
    assert (cleaned[(alpha == 0) | (alpha == 255)] == soft[(alpha == 0) | (alpha == 255)]).all()


def test_a_hard_outline_has_no_mixed_colours():
    photo, share, _ = scene()
    assert decontaminated(photo, np.uint8(255) * (share > 0.5)) is photo
