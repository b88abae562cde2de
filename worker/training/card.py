# SPDX-License-Identifier: GPL-3.0-or-later
"""The card that goes with trained depth weights: what went in, how training went, and numbers on unseen renders."""

from pathlib import Path

import numpy as np
import torch

from .metrics import Score, median_score, scale_score
from .run import Run
from .scene_network import IncludedScene
from .scenes import FAMILIES
from .shards import make_shard

HELD_OUT = 900_000  # shards from this number on are never trained on


def held_out_scores(network: IncludedScene, views: int = 96) -> dict[str, tuple[Score, Score]]:
    """Median scores on unseen renders after a fit of scale alone, sky left out, per family and for "all".

    (The network's, and those of one depth for all pixels.)
    """
    shard = make_shard(HELD_OUT, views, (144, 192), per_scene=2)
    device = next(network.parameters()).device
    images = torch.from_numpy(shard["image"].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        seen = [network.eval()(part.to(device)).enlarged(144, 192) for part in images.split(16)]
    depth = torch.cat([part.log_depth for part in seen]).exp().cpu().numpy()
    inverse = shard["inverse_depth"].astype(np.float32)
    truth = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-8), np.inf)
    pairs = [(scale_score(d, t), scale_score(np.ones_like(t), t)) for d, t in zip(depth, truth, strict=True)]
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
        f"Unseen renders (shard {HELD_OUT}), median AbsRel / delta1 after a fit of scale alone:",
        "",
        "| family | this network | a flat card |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {ours.abs_rel:.3f} / {ours.delta1:.3f} | {flat.abs_rel:.3f} / {flat.delta1:.3f} |"
            for name, (ours, flat) in scores.items()
        ),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
