# SPDX-License-Identifier: GPL-3.0-or-later
"""PLY as the field writes splats: the property names of the published code (Kerbl et al. 2023), binary little endian.

Scales are logarithms and opacities logits there, quaternions begin with w, and the axes are those of COLMAP (x right, y
down, z forward), which its viewers turn upright.
"""

from __future__ import annotations

import numpy as np

from ...core.harmonics import HALF_TURN
from ...core.representations import Splats

_LIMIT = 1e-6
"""An opacity is no nearer to 1 than this, whose logit would not be finite."""


def encode(splats: Splats) -> bytes:
    """The file's bytes."""
    names = _names(splats.harmonics.shape[1] - 1)
    table = np.zeros((len(splats), len(names)), "<f4")
    opacities = np.clip(splats.opacities.astype(np.float64), _LIMIT, 1.0 - _LIMIT)
    harmonics = splats.harmonics * HALF_TURN[: splats.harmonics.shape[1], None]
    columns = {
        "x": splats.centres * (1, -1, -1),
        "f_dc_0": harmonics[:, 0],
        "f_rest_0": harmonics[:, 1:].transpose(0, 2, 1).reshape(len(splats), -1),
        "opacity": np.log(opacities / (1.0 - opacities))[:, None],
        "scale_0": np.log(splats.scales),
        "rot_0": turned(splats.rotations),
    }
    for name, values in columns.items():
        if values.shape[1]:
            start = names.index(name)
            table[:, start : start + values.shape[1]] = values
    properties = "".join(f"property float {name}\n" for name in names)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(splats)}\n{properties}end_header\n"
    return head.encode() + table.tobytes()


def decode(content: bytes) -> Splats:
    """The splats of such a file. ValueError, one sentence, where it is damaged or something else."""
    head, found, body = content.partition(b"end_header\n")
    lines = head.decode("ascii", "replace").splitlines()
    names = [line.split()[-1] for line in lines if line.startswith("property float ")]
    counts = [
        int(line.split()[-1]) for line in lines if line.startswith("element vertex ") and line.split()[-1].isdigit()
    ]
    rest = sum(name.startswith("f_rest_") for name in names) // 3
    if not found or "format binary_little_endian 1.0" not in lines or len(counts) != 1 or names != _names(rest):
        raise ValueError("not a PLY of splats as the published code writes it")
    if len(body) < 4 * counts[0] * len(names):
        raise ValueError(f"a PLY of splats that is cut off: {counts[0]} splats do not fit {len(body)} bytes")
    table = np.frombuffer(body, "<f4", counts[0] * len(names)).reshape(counts[0], len(names)).astype(np.float32)
    first, opacity = names.index("f_dc_0"), names.index("opacity")
    others = table[:, first + 3 : opacity].reshape(counts[0], 3, rest).transpose(0, 2, 1)
    harmonics = np.concatenate([table[:, None, first : first + 3], others], 1) * HALF_TURN[: rest + 1, None]
    return Splats(
        table[:, :3] * np.float32((1, -1, -1)),
        np.exp(table[:, opacity + 1 : opacity + 4]),
        turned(table[:, opacity + 4 :]),
        1.0 / (1.0 + np.exp(-table[:, opacity])),
        harmonics,
    )


def turned(rotations: np.ndarray) -> np.ndarray:
    """Quaternions (N, 4) after a half turn about x; twice gives the same rotation."""
    w, x, y, z = rotations.T
    return np.stack([-x, w, -z, y], 1)


def _names(rest: int) -> list[str]:
    """The properties, with so many coefficients beyond the first."""
    names = ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    names += [f"f_rest_{number}" for number in range(3 * rest)]
    return [*names, "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
