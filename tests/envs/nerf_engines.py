# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the environment nerf's own Python: the worker's engines learn a ball on the processor.

``nerf_engines.py nerfacto|neus-facto cut-out|surrounded|stopped|cancelled`` writes what came of it as one line of JSON.
"""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.modules["image_to_3d"] = importlib.util.module_from_spec(
    importlib.util.spec_from_file_location("image_to_3d", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
)

from image_to_3d.tests.methods import ball  # noqa: E402  after the package has its name
from image_to_3d.worker.core.errors import Cancelled  # noqa: E402
from image_to_3d.worker.core.job import Job  # noqa: E402
from image_to_3d.worker.methods.multiview_fit import grid_result, nerfstudio_training, training  # noqa: E402
from image_to_3d.worker.methods.multiview_fit.nerfstudio_fields import Sizes  # noqa: E402

STEPS = {"cut-out": 300, "surrounded": 120, "stopped": 300, "cancelled": 300}
PLAN = nerfstudio_training.Plan(24, 256, 300, 32, Sizes((24, 16, 12), 11, 64, 16))


def main(engine: str, case: str) -> dict[str, object]:
    """What was told and found."""
    torch.set_num_threads(1)
    training.PREVIEW_SECONDS = 0.0 if case == "stopped" else 1e9
    said: list[str] = []
    shown: list[np.ndarray] = []

    def notify(progress: float, stage: str, message: str, seconds: float | None) -> None:
        if message:
            said.append(message)
        if case == "cancelled" and len(said) == 3:
            job.cancel()

    def is_enough() -> bool:
        return case == "stopped" and len(shown) >= 2

    job = Job(notify)
    plan = replace(PLAN, steps=STEPS[case])
    capture = ball.capture(case != "surrounded")
    try:
        result = nerfstudio_training.train(capture, engine, plan, job, torch.device("cpu"), shown.append, is_enough)
    except Cancelled:
        return {"cancelled": True, "said": len(said)}
    field = grid_result.field(result.model)
    facing = np.random.default_rng(0).normal(size=(400, 3))
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    on, inside, outside = (
        (ball.CENTRE + radius * facing).astype(np.float32) for radius in (ball.RADIUS, ball.RADIUS - 0.1, 0.43)
    )
    return {
        "steps": result.steps,
        "stopped": result.stopped,
        "psnr": result.psnr,
        "first": said[0],
        "last": said[-1],
        "previews": [list(picture.shape) for picture in shown],
        "off": float(np.abs(field.value(on)).mean()),
        "inside": float((field.value(inside) > 0.0).mean()),
        "outside": float((field.value(outside) < 0.0).mean()),
        "colour": float(np.abs(field.colour(on) - ball.tint(facing)).mean()),
    }


sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
