# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and their limits."""

import pytest
from image_to_3d.worker.core.errors import Invalid
from image_to_3d.worker.core.options import Option, checked


@pytest.mark.parametrize(
    "limits, value, said",
    [((0.5, None), 0.1, "at least 0.5"), ((None, 2.0), 3.0, "at most 2"), ((0.5, 2.0), 3.0, "between 0.5 and 2")],
)
def test_what_is_beyond_a_limit_is_refused_with_the_limits_that_there_are(limits, value, said):
    radius = Option("radius", "Radius", "float", 1.0, "", *limits)
    with pytest.raises(Invalid, match=f"radius must .*{said}, not"):
        checked(radius, value)
    assert checked(radius, 1) == 1.0
