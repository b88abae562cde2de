# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is not sure of becomes smooth; silhouettes stay steps."""

import numpy as np
import pytest
from image_to_3d.worker.geometry.relief.steady import smooth


@pytest.mark.parametrize("doubt", [0.1, 0.4])
def test_a_step_stays_one_however_unsure_the_network_is_of_its_sides(doubt):
    inverse = np.full((60, 80), 0.3, np.float32)
    inverse[:, 30:] = 1.0
    ripples = 1.0 + 0.03 * np.sin(np.arange(80, dtype=np.float32))
    found = smooth(inverse * ripples, np.full(inverse.shape, doubt, np.float32))
    assert np.minimum(np.abs(found - 0.3), np.abs(found - 1.0)).max() < 0.08
    assert found[:, 34:].std() < 0.5 * (inverse * ripples)[:, 34:].std()
