# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a small TripoSG on procedural shapes, to see refinement work and not only run; of no use to users.

    python tests/bench/small_training.py FOLDER [--minutes 40]

The networks are the product's own, with other sizes. First the autoencoder learns, then the flow on its latents, which
are brought to deviation one. FOLDER keeps the state every minute, so that the same command goes on where it was ended.
Minutes are those of the processor.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import checkout  # noqa: F401 (first: it names the package)
import torch
from image_to_3d.worker.methods.triposg.network import (
    TRAINING_TIMES,
    EncoderConfig,
    Flow,
    FlowConfig,
    PictureEncoder,
    ShapeCoder,
    ShapeConfig,
    embedded_points,
    spread,
)
from small_shapes import PIXELS, Shapes
from torch import Generator, Tensor, nn

TOKENS, POINTS, CANDIDATES = 32, 512, 128
SEEING = EncoderConfig(width=64, layers=2, heads=4, hidden=256, patch=7, image=PIXELS)
FLOWING = FlowConfig(width=96, layers=5, heads=4, channels=8, context=64)
CODING = ShapeConfig(width=96, layers=2, encoder_width=96, encoder_layers=1, heads=4, channels=8, frequencies=6)
CODER_SHARE = 0.45  # of the time
BANK, BANK_FROM = 4000, 1  # shapes of the flow's training, and their seed
KL = 1e-3
DROPPED = 0.1  # of the pictures, so that there is a velocity without one
EMA = 0.998


class Small(nn.Module):
    """The three networks together."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.flow, self.coder = PictureEncoder(SEEING), Flow(FLOWING), ShapeCoder(CODING)


def load(folder: Path) -> Small:
    """The averaged networks of a training that has ended, or as far as it is."""
    network = Small()
    network.load_state_dict(torch.load(folder / "state.pt", weights_only=True)["average"])
    return network.eval().requires_grad_(False)


def chosen(surface: Tensor) -> Tensor:
    """Which points become tokens, (B, TOKENS): far from each other among the first CANDIDATES."""
    return torch.stack([spread(points[:CANDIDATES, :3], TOKENS) for points in surface])


def field(coder: ShapeCoder, latents: Tensor, points: Tensor) -> Tensor:
    """(B, N) at points (B, N, 3): Surface.value for many shapes at once."""
    decoder = coder.decoder
    tokens = decoder(coder.post_quant(latents))
    x = decoder.proj_query(embedded_points(points, CODING.frequencies))
    x = decoder.blocks[-1](x, *decoder.blocks[-1].attn2.keys_and_values(tokens))
    return -decoder.proj_out(decoder.norm_out(x))[..., 0]


def coder_loss(coder: ShapeCoder, random: Generator, count: int = 16) -> Tensor:
    shapes = Shapes.drawn(count, random)
    surface = shapes.surface(POINTS, random)
    posterior = coder.encoded(surface, chosen(surface))
    noise = torch.randn(posterior.mean.shape, generator=random)
    latents = posterior.mean + (posterior.logvar / 2).exp() * noise
    near = surface[:, :192, :3] + 0.06 * torch.randn(count, 192, 3, generator=random)
    points = torch.cat([near, torch.rand(count, 192, 3, generator=random) * 2.0 - 1.0], 1)
    wrong = (field(coder, latents, points) - shapes.field(points)).abs().mean()
    spread_out = 0.5 * (posterior.mean.square() + posterior.logvar.exp() - 1.0 - posterior.logvar)
    return wrong + KL * spread_out.mean()


def flow_loss(network: Small, latents: Tensor, pictures: Tensor) -> Tensor:
    """Of the velocity from noise to shape tokens, for a batch of both."""
    noise, level = torch.randn_like(latents), torch.rand(len(latents))
    mixed = (1.0 - level)[:, None, None] * latents + level[:, None, None] * noise
    seen = network.encoder(pictures) * (torch.rand(len(latents)) >= DROPPED)[:, None, None]
    velocity = network.flow(mixed, TRAINING_TIMES * level, seen)
    return (velocity - (latents - noise)).square().mean()


@torch.no_grad()
def bank(coder: ShapeCoder) -> tuple[Tensor, Tensor]:
    """Latents and pictures of the flow's training. Brings the latents' deviation to one, within the coder's weights."""
    random, latents, pictures = Generator().manual_seed(BANK_FROM), [], []
    for _ in range(BANK // 50):
        shapes = Shapes.drawn(50, random)
        surface = shapes.surface(POINTS, random)
        latents.append(coder.encoded(surface, chosen(surface)).mean)
        pictures.append(shapes.silhouettes()[:, :1])
    found = torch.cat(latents)
    size = found.std()
    half = CODING.channels
    coder.quant.weight[:half] /= size
    coder.quant.bias[:half] /= size
    coder.quant.bias[half:] -= 2.0 * size.log()
    coder.post_quant.weight *= size
    return found / size, torch.cat(pictures)


class Training:
    """What is kept from one start to the next."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self.seconds = folder, 60.0 * minutes
        self.network, self.spent, self.stage = Small(), 0.0, 0
        self.average = copy.deepcopy(self.network)
        self.started, self.kept = time.process_time(), 0.0
        self.optimiser = self._optimiser()
        if (folder / "state.pt").is_file():
            self._restore(torch.load(folder / "state.pt", weights_only=True))

    def _optimiser(self) -> torch.optim.Optimizer:
        parts = [self.network.coder] if self.stage == 0 else [self.network.flow, self.network.encoder]
        return torch.optim.AdamW([p for part in parts for p in part.parameters()], 1e-3, (0.9, 0.98), weight_decay=0.01)

    def _restore(self, state: dict) -> None:
        self.stage, self.spent = state["stage"], state["spent"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser = self._optimiser()
        self.optimiser.load_state_dict(state["optimiser"])
        torch.manual_seed(int(self.spent))

    def elapsed(self) -> float:
        return self.spent + time.process_time() - self.started

    def keep(self) -> None:
        state = {"stage": self.stage, "spent": self.elapsed(), "optimiser": self.optimiser.state_dict()}
        state |= {"network": self.network.state_dict(), "average": self.average.state_dict()}
        torch.save(state, self.folder / "new.pt")
        (self.folder / "new.pt").replace(self.folder / "state.pt")
        self.kept = time.process_time()

    def run(self, loss: Callable[[], Tensor], begin: float, end: float) -> None:
        """Steps until `end` seconds are spent of all."""
        step, mean = 0, 0.0
        while (now := self.elapsed()) < end:
            share = (now - begin) / (end - begin)
            for group in self.optimiser.param_groups:
                group["lr"] = 1e-3 * min(share / 0.02, 1.0) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-6
            value = loss()
            self.optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_([p for g in self.optimiser.param_groups for p in g["params"]], 1.0)
            self.optimiser.step()
            with torch.no_grad():
                for kept, own in zip(self.average.parameters(), self.network.parameters()):
                    kept.lerp_(own, 1.0 - min(EMA, (1.0 + step) / (10.0 + step)))
            mean, step = 0.98 * mean + 0.02 * float(value.detach()), step + 1
            if step % 100 == 0:
                print(f"stage {self.stage} {now:.0f} s step {step} loss {mean / (1 - 0.98**step):.4f}", flush=True)
            if time.process_time() - self.kept > 60.0:
                self.keep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=40.0)
    wishes = parser.parse_args()
    wishes.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    training = Training(wishes.folder, wishes.minutes)
    random = Generator().manual_seed(int(training.spent) + 100)
    turn = CODER_SHARE * training.seconds
    if training.stage == 0:
        training.run(lambda: coder_loss(training.network.coder, random), 0.0, turn)
        training.network.coder.load_state_dict(training.average.coder.state_dict())
        latents, pictures = bank(training.network.coder)
        torch.save((latents, pictures), wishes.folder / "bank.pt")
        training.average.coder.load_state_dict(training.network.coder.state_dict())
        training.stage, training.average.flow = 1, copy.deepcopy(training.network.flow)
        training.optimiser = training._optimiser()
        training.keep()
    latents, pictures = torch.load(wishes.folder / "bank.pt", weights_only=True)

    def loss() -> Tensor:
        which = torch.randint(len(latents), (32,))
        return flow_loss(training.network, latents[which], pictures[which].expand(-1, 3, -1, -1))

    training.run(loss, turn, training.seconds)
    training.keep()


if __name__ == "__main__":
    main()
