# SPDX-License-Identifier: GPL-3.0-or-later
"""The card that goes with trained depth weights: what went in, how training went, and numbers on unseen renders."""

from pathlib import Path

import numpy as np
import torch

from ..methods.depth.included import IncludedDepth
from .metrics import Score, affine_score, median_score, vertical_ramp
from .run import Run
from .scenes import FAMILIES
from .shards import make_shard

HELD_OUT = 900_000  # shards from this number on are never trained on


def held_out_scores(network: IncludedDepth, views: int = 96) -> dict[str, tuple[Score, Score]]:
    """Median scores on unseen renders, sky left out: (the network's, a vertical ramp's) per family and for "all"."""
    shard = make_shard(HELD_OUT, views, (128, 160), per_scene=2)
    device = next(network.parameters()).device
    images = torch.from_numpy(shard["image"].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        predicted = torch.cat([network.eval()(part.to(device)).cpu() for part in images.split(16)]).numpy()
    inverse = shard["inverse_depth"].astype(np.float32)
    depth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-8), np.inf)
    ramp = vertical_ramp(128, 160)
    pairs = [(affine_score(p, d), affine_score(ramp, d)) for p, d in zip(predicted, depth, strict=True)]
    names = [family.__name__ for family in FAMILIES]
    groups = {"all": range(views)} | {
        name: np.flatnonzero(shard["family"] == index) for index, name in enumerate(names)
    }
    return {
        name: (median_score([pairs[i][0] for i in members]), median_score([pairs[i][1] for i in members]))
        for name, members in groups.items()
        if len(members)
    }


def write_card(path: Path, run: Run, views: int, scores: dict[str, tuple[Score, Score]]) -> None:
    """Write the card as Markdown; views are how many rendered pictures were trained on."""
    parameters, config = sum(p.numel() for p in run.network.parameters()), run.network.config
    chosen = run.curve[:: max(1, len(run.curve) // 12)]
    lines = [
        "# Included depth network",
        "",
        f"- Parameters: {parameters / 1e6:.2f} M; widths {config.widths}, blocks {config.blocks}",
        f"- Data: {views} views rendered by `worker.training.shards` from their shards' numbers alone",
        f"- Training: seed {run.plan.seed}, {run.step} of {run.plan.steps} steps of {run.plan.batch} in each of "
        f"{run.together.count} processes, {run.samples} samples seen, "
        f"{run.seconds / 60:.0f} minutes on {run.plan.device}",
        "",
        "| samples seen | training loss |",
        "| --- | --- |",
        *(f"| {seen} | {loss:.3f} |" for seen, loss in chosen),
        "",
        f"Unseen renders (shard {HELD_OUT}), median AbsRel / delta1 after an affine fit of inverse depth:",
        "",
        "| family | this network | vertical ramp |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {ours.abs_rel:.3f} / {ours.delta1:.3f} | {ramp.abs_rel:.3f} / {ramp.delta1:.3f} |"
            for name, (ours, ramp) in scores.items()
        ),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
