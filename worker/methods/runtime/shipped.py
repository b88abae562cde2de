# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the weights that ship with the product, as worker/training wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open


def read(path: Path, network: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The configuration's values and the tensors of the network of that name.

    Raises ValueError if the file is not of this network; what safetensors raises if it is damaged.
    """
    with safe_open(path, framework="np") as file:
        header = file.metadata() or {}
        if header.get("network") != network:
            raise ValueError(f"{path.name} is not an {network} file; restore the one that came with the product")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return json.loads(header["config"]), tensors
