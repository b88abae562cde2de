# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is not sure of becomes smooth; silhouettes stay steps."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.relief.steady import _divergence, _gradient, planar, smooth


@pytest.mark.parametrize("doubt", [0.1, 0.4])
def test_a_step_stays_one_however_unsure_the_network_is_of_its_sides(doubt):
    inverse = np.full((60, 80), 0.3, np.float32)
    inverse[:, 30:] = 1.0
    ripples = 1.0 + 0.03 * np.sin(np.arange(80, dtype=np.float32))
    found = smooth(inverse * ripples, np.full(inverse.shape, doubt, np.float32))
    assert np.minimum(np.abs(found - 0.3), np.abs(found - 1.0)).max() < 0.08
    assert found[:, 34:].std() < 0.5 * (inverse * ripples)[:, 34:].std()


@pytest.mark.parametrize("shape", [(7, 9), (1, 5), (6, 1), (2, 4, 3)])
def test_divergence_is_the_negative_adjoint_of_the_gradient(shape):
    rng = np.random.default_rng(0)
    values = rng.random(shape, np.float32)
    rise = _gradient(values)
    assert np.array_equal(rise[..., 0, :-1, :], np.diff(values, axis=-2)) and not rise[..., 0, -1, :].any()
    assert np.array_equal(rise[..., 1, :, :-1], np.diff(values, axis=-1)) and not rise[..., 1, :, -1].any()
    field = rng.random(rise.shape, np.float32)
    assert (rise * field).sum() == pytest.approx(-(values * _divergence(field)).sum(), rel=1e-4)


def test_a_plane_that_is_seen_roughly_is_one_and_what_is_no_plane_stays():
    rng = np.random.default_rng(0)
    row, column = np.mgrid[0:60, 0:80].astype(np.float32)
    floor = 0.2 + 0.01 * row
    hill = (column > 40) & (row < 30)
    seen = np.where(hill, 0.8 + 0.2 * np.sin(column / 3.0) * np.sin(row / 3.0), floor).astype(np.float32)
    rough = seen * np.exp(0.01 * rng.standard_normal(seen.shape)).astype(np.float32)
    found = planar(rough, np.full(seen.shape, 0.1, np.float32), 80.0)
    open_floor = ~hill & (row > 35)
    assert np.abs(found / seen - 1.0)[open_floor].mean() < 0.3 * np.abs(rough / seen - 1.0)[open_floor].mean()
    inner = (column > 50) & (row < 20)
    assert np.abs(found / rough - 1.0)[inner].mean() < 0.03
