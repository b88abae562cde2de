# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a pipeline of diffusers onto a device, as its memory allows. Brings torch and diffusers.

A pipeline's networks are on the device at once where they fit; else each block of them only while it runs, which takes
the time to bring it. Where the prompt can be encoded beforehand, what encodes it is there first and alone, and is then
let go.
"""

from __future__ import annotations

import inspect
from collections.abc import Container
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from torch import nn

from ...core.job import Job, Span
from ...store.pipelines import is_variant
from ..runtime import configurations, hooks, memory
from ..runtime.checkpoint import read_tensors

_TEXT = ("text_encoder", "tokenizer")
_REST = ("transformer", "vae", "scheduler")
"""The two halves of a pipeline whose prompt is encoded beforehand."""

_LARGE = ("transformer", "unet")
"""The parts that are large, of those that diffusers makes."""

_ACTIVATIONS = 1_500_000_000
"""Bytes on a card beside the weights while a picture of 1024 pixels is made: an estimate (no card was at hand)."""

_BLOCK = 0.1
"""Share of a pipeline's weights that is on the device at once where blocks come and go: what is no block, and a block.
FLUX.2 klein's transformer: 25 blocks, of which the largest is a twentieth."""


def placed(
    kind: type[DiffusionPipeline], folder: Path, device: torch.device, prompt: str, job: Job | Span
) -> tuple[DiffusionPipeline, dict[str, Any]]:
    """The pipeline, and the arguments that tell it the prompt. Raises OutOfMemory before anything is read; whatever
    diffusers raises of a folder that it cannot read."""
    if not _is_encoded_before(kind):
        return _read(kind, folder, device), {"prompt": prompt}
    text = _read(kind, folder, device, _REST)
    job.report(0.0, "reading the prompt")
    with torch.inference_mode():
        embeds = text.encode_prompt(prompt=prompt, device=device)[0]
    del text
    memory.release()
    job.report(0.0, "loading the network")
    return _read(kind, folder, device, _TEXT), {"prompt_embeds": embeds}


def _is_encoded_before(kind: type[DiffusionPipeline]) -> bool:
    """Whether its prompt makes one tensor that stands for it, and nothing else is needed of what encodes it."""
    return kind.__name__.startswith("Flux2Klein")


def _read(
    kind: type[DiffusionPipeline], folder: Path, device: torch.device, without: Container[str] = ()
) -> DiffusionPipeline:
    """Reads the pipeline but for the parts that are named, onto the device."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    needed = _bytes(folder, without, dtype)
    whole = device.type == "cpu" or memory.fits(device, needed + _ACTIVATIONS)
    memory.require(
        device, needed if device.type == "cpu" else _ACTIVATIONS + int(needed * (1.0 if whole else _BLOCK)), {}
    )
    given = {name: None for name in without if name in inspect.signature(kind.__init__).parameters}
    large = [part for part in _LARGE if part not in without and (folder / part / "config.json").is_file()]
    given |= {part: network for part in large if (network := _network(folder / part, dtype))}
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()  # it reads the text's encoder
    pipeline = kind.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True, low_cpu_mem_usage=False, **given
    )
    pipeline.set_progress_bar_config(disable=True)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            part.eval().requires_grad_(False)
            part.to(device) if whole else hooks.stream(part, device)
    return pipeline


def _network(folder: Path, dtype: torch.dtype) -> nn.Module | None:
    """The network in a part's folder, its tensors mapped into memory: diffusers alone, without accelerate, first makes
    all of it at random in single precision. None where only diffusers can read it."""
    config = dict(configurations.read(folder / "config.json").values)
    kind = getattr(diffusers, str(config.get("_class_name")), None)
    files = sorted(path for path in folder.glob("*.safetensors") if not is_variant(path.name))
    if kind is None or not files:
        return None
    with torch.device("meta"):
        network = kind.from_config(config)
    tensors = {name: tensor for path in files for name, tensor in read_tensors(path).items()}
    tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    network.load_state_dict(tensors, strict=True, assign=True)
    left = any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
    return None if left else network


def _bytes(folder: Path, without: Container[str], dtype: torch.dtype) -> int:
    """Of the weights in the parts' folders; they are published in half precision, mostly."""
    files = [path for path in folder.glob("*/*.safetensors") if path.parent.name not in without]
    return sum(path.stat().st_size for path in files if not is_variant(path.name)) * (
        2 if dtype == torch.float32 else 1
    )
