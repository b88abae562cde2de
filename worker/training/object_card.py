# SPDX-License-Identifier: GPL-3.0-or-later
"""The card that goes with trained object weights: what went in, how training went, and errors on unseen things."""

from __future__ import annotations

from pathlib import Path

import torch

from .layers import VIEWS, make_shard
from .object_batches import Batch, as_batch, resized
from .object_network import IncludedObject
from .objects import FAMILIES
from .run import Run

HELD_OUT = 900_000
"""Shards from this number on are never trained on."""


def held_out_scores(network: IncludedObject, views: int = 240) -> dict[str, tuple[float, float]]:
    """Mean depth error of both layers in half sides: (the network's, inflation's) per family and for "all"."""
    shard = make_shard(HELD_OUT, views)
    truth = resized(as_batch(shard), network.config.size)
    device = next(network.parameters()).device
    ours = []
    with torch.inference_mode():
        for first in range(0, views, 16):
            part = Batch(*(values[first : first + 16].to(device) for values in truth))
            guess = network.eval()(part.image, part.mask, part.height)
            ours.append(_errors(guess.front, guess.back, part).cpu())
    errors, floor = torch.cat(ours), _errors(-truth.height, truth.height, truth)
    family = torch.from_numpy(shard["family"])
    groups = {"all": torch.ones(views, dtype=torch.bool)}
    groups |= {draw.__name__: family == number for number, (draw, _) in enumerate(FAMILIES)}
    return {
        name: (float(errors[members].mean()), float(floor[members].mean()))
        for name, members in groups.items()
        if members.any()
    }


def _errors(front: torch.Tensor, back: torch.Tensor, truth: Batch) -> torch.Tensor:
    """(B,) mean absolute error of both depths within the mask."""
    error = ((front - truth.front).abs() + (back - truth.back).abs()) / 2 * truth.mask
    return error.sum((1, 2)) / truth.mask.sum((1, 2))


def write_card(path: Path, run: Run, scores: dict[str, tuple[float, float]]) -> None:
    """Write the card as Markdown."""
    parameters = sum(p.numel() for p in run.network.parameters())
    config, shards = run.average.config, run.task.pool.shards
    chosen = run.curve[:: max(1, len(run.curve) // 14)]
    lines = [
        "# Included object network",
        "",
        f"- Parameters: {parameters / 1e6:.2f} M; widths {config.widths}, blocks {config.blocks}",
        f"- Data: {shards} shards of {VIEWS} views, rendered by `worker.training.layers` from their numbers",
        f"- Training: seed {run.plan.seed}, {run.step} steps of {run.plan.batch}, {run.samples} samples seen, "
        f"{run.seconds / 60:.0f} minutes on {run.plan.device}",
        "",
        "| samples seen | loss in training |",
        "| --- | --- |",
        *(f"| {seen} | {error:.4f} |" for seen, error in chosen),
        "",
        f"Unseen things (shard {HELD_OUT}), mean error of both depths, half sides:",
        "",
        "| family | this network | silhouette inflated |",
        "| --- | --- | --- |",
        *(f"| {name} | {ours:.4f} | {floor:.4f} |" for name, (ours, floor) in scores.items()),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
