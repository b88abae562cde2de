# SPDX-License-Identifier: GPL-3.0-or-later
"""The card that goes with trained generator weights: how training went, and how samples do on unseen things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor

from .generator_network import IncludedGenerator
from .layers import make_shard
from .object_batches import Batch as Things
from .object_batches import as_batch, resized
from .object_card import HELD_OUT
from .objects import FAMILIES
from .run import Run

SAMPLES, STEPS, STRENGTH = 4, 12, 0.5


@dataclass(frozen=True)
class Score:
    """Mean error of both depths, half sides: of the regression, of a sample, of the best of four; and how far samples
    lie from their mean (standard deviation)."""

    regression: float
    one: float
    best: float
    spread: float


def held_out_scores(network: IncludedGenerator, views: int = 240, strength: float = STRENGTH) -> dict[str, Score]:
    """Scores per family and for "all". strength: how much of the noise is used."""
    shard = make_shard(HELD_OUT, views)
    truth = resized(as_batch(shard), network.config.size)
    device, random = network.scale.device, Generator().manual_seed(0)
    with torch.inference_mode():
        parts = [Things(*(values[first : first + 16] for values in truth)) for first in range(0, views, 16)]
        numbers = torch.cat([_numbers(network.eval(), part.to(device), strength, random).cpu() for part in parts])
    family = torch.from_numpy(shard["family"])
    groups = {"all": torch.ones(views, dtype=torch.bool)}
    groups |= {draw.__name__: family == number for number, (draw, _) in enumerate(FAMILIES)}
    return {
        name: Score(*(round(float(value), 4) for value in numbers[members].mean(0)))
        for name, members in groups.items()
        if members.any()
    }


def _numbers(network: IncludedGenerator, things: Things, strength: float, random: Generator) -> Tensor:
    """(B, 4): what a Score holds, for each thing."""
    regression, _ = network.regression(things.image, things.mask, things.height)
    view, outline = network.view(things.image, things.mask, things.height, regression)
    truth, inside = torch.stack([things.front, things.back], 1), things.mask[:, None]
    found = []
    for _ in range(SAMPLES):
        noise = network.noise(len(view), view.shape[-1], random).to(view.device) * outline * strength
        layers = network.layers(regression, network.residual(noise, view, outline, STEPS, lambda step: None), outline)
        found.append(torch.stack(layers[:2], 1))
    samples = torch.stack(found)
    errors = torch.stack([_error(sample - truth, inside) for sample in samples])
    spread = _error(samples.std(0), inside)
    return torch.stack([_error(regression[:, :2] - truth, inside), errors.mean(0), errors.amin(0), spread], 1)


def _error(difference: Tensor, inside: Tensor) -> Tensor:
    """(B,) mean absolute value of differences (B, 2, H, W) of both depths within the mask (B, 1, H, W)."""
    return (difference.abs() * inside).sum((1, 2, 3)) / (2 * inside.sum((1, 2, 3)))


def write_card(path: Path, run: Run, scores: dict[str, Score]) -> None:
    """Write the card as Markdown."""
    flow = sum(values.numel() for values in run.network.flow.parameters())
    regressor = sum(values.numel() for values in run.network.regressor.parameters())
    chosen = run.curve[:: max(1, len(run.curve) // 14)]
    lines = [
        "# Included generator",
        "",
        f"- Parameters: {flow / 1e6:.2f} M of the flow, {regressor / 1e6:.2f} M of the regression",
        f"- Training: seed {run.plan.seed}, {run.step} of {run.plan.steps} steps of {run.plan.batch}, "
        f"{run.samples} samples seen, {run.seconds / 60:.0f} minutes on {run.plan.device}",
        "",
        "| samples seen | loss of the flow |",
        "| --- | --- |",
        *(f"| {seen} | {loss:.4f} |" for seen, loss in chosen),
        "",
        f"Unseen things (shard {HELD_OUT}), {SAMPLES} samples of {STEPS} steps at strength {STRENGTH}, half sides:",
        "",
        "| family | regression | one sample | best of four | spread |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {name} | {s.regression} | {s.one} | {s.best} | {s.spread} |" for name, s in scores.items()),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
