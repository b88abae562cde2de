# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes training one network: each goes its own way for some steps, then all average their weights.

Averaging now and then (local SGD, Stich 2019) costs far less talk than averaging every gradient, so it pays even for
two processes on two cores. Started by `torchrun --nproc-per-node N -m worker.training.scene ...`; alone, all of this
does nothing. Knows torch.distributed, not what is trained.
"""

import os

import torch
from torch import Tensor, distributed


class Together:
    """This process among those of the run: its rank, how many there are, and what they agree on."""

    def __init__(self) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.count > 1 and not distributed.is_initialized():
            distributed.init_process_group("gloo")

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and logs."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace each floating-point tensor by its mean over all processes, in place."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1).cpu() for tensor in tensors])
        distributed.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, mean in zip(tensors, (flat / self.count).split(sizes), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def wait(self) -> None:
        """Until all processes have come here."""
        self.slowest(0.0)

    def slowest(self, seconds: float) -> float:
        """The largest of all processes' values, so that all end at the same step."""
        if self.count == 1:
            return seconds
        value = torch.tensor([seconds], dtype=torch.float64)
        distributed.all_reduce(value, distributed.ReduceOp.MAX)
        return float(value)
