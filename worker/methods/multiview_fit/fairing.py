# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface that bends least within a visual hull and still reaches its outlines.

Between its outlines a hull is too large, with facets and ridges that tell where the cameras stood: tents on a box's
sides, facets around a bowl. So its patches are moved inwards until the surface bends least, as a thin plate does, and
stay where several outlines meet: along edges, and on what is thin. A plate leaves flat what is flat and round what is
evenly round.

Imported on use: it brings torch. Distances are in cells, positive outside. Must not know photos' colours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg
from torch import Tensor

from ...core.job import Job, Span
from .grid_space import at, redistanced
from .outlines import Hull
from .patches import REACH, Patches

_STIFF = 10.0
"""Weight of bending beside that of a place which photos surely tell, 1. With 30, a box's faces lost 1.4 dB in clay."""

_FREE, _HELD = 1e-4, 30.0  # weights of staying: where one or two outlines run, as everywhere on a hull; where more do
_ON = 0.25
"""Cells within which an outline runs through a patch. Of a box in 32 photos clay is 25.5 dB with .2, 25.4 with .3, 24.8
with .6, as ridges are held too, and 22.6 with .12, as edges are lost. Without this, 17.6; the hull has 24.6."""

_OUT = 100.0  # weight of not leaving the hull
_LONELY = 0.5  # sum of neighbours' weights of a patch that has too few to be plane with
_SLANT = 0.02  # of the weights' moments: fitted planes lean less where neighbours lie on a line
_TIMES = 6  # which patches would leave the hull is seen so often
_NEARLY, _STEPS = 1e-4, 600  # when the conjugate gradients have converged, and how many steps they may take


@torch.no_grad()
def faired(hull: Hull, job: Job | Span) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) float32 of the surface that bends least within a hull. job: hears each
    step."""
    patches = Patches.of(hull.distance, hull.lattice)
    plate, moves = Plate.of(patches, hull), torch.zeros(len(patches.place))
    for number in range(_TIMES):
        job.report(number / _TIMES, "smoothing the shape")
        moves = plate.settled(moves, moves, torch.zeros_like(moves))
    return redistanced(np.maximum(patches.moved(torch.minimum(moves, patches.room())), hull.distance))


@dataclass(frozen=True, eq=False)
class Plate:
    """How patches bend: moved inwards by m (N,), in `apart`, they stand out by `height` - `bending` m of the planes
    through their neighbours (moving least squares, which is exact for planes at a border, too). kept: (N,) each
    patch's weight of staying. least: (N,) how far inwards it must go, negative where it may go outwards."""

    bending: sparse.csr_array
    height: np.ndarray
    kept: np.ndarray
    least: np.ndarray

    @classmethod
    def of(cls, patches: Patches, hull: Hull) -> Plate:
        index, weight = patches.index, patches.weight.double()
        step = ((patches.place[index] - patches.place[:, None]) / patches.apart).double()
        normal = patches.normal.double()
        flat = [(step * tangent[:, None]).sum(2) for tangent in patches.tangents(torch.arange(len(index)))]
        flat = torch.stack([torch.ones_like(flat[0]), *flat], 2)
        moments = torch.einsum("nk,nka,nkb->nab", weight, flat, flat)
        moments += torch.diag(torch.tensor([1e-9, _SLANT, _SLANT], dtype=torch.float64))
        middle = torch.linalg.solve(moments, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(len(index), 3))
        share = torch.einsum("na,nka,nk->nk", middle, flat, weight)
        share[weight.sum(1) < _LONELY] = 0.0
        alike = (normal[index] * normal[:, None]).sum(2)
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        around = ((share * alike).flatten().numpy(), (rows, index.flatten().numpy()))
        own = sparse.diags_array((share.abs().sum(1) > 0.0).double().numpy())
        height = -(share * (step * normal[:, None]).sum(2)).sum(1)
        held = _FREE + _HELD * ((hull.touching(patches.place, _ON) - 2.0) / 2.0).clamp(0.0, 1.0)
        within = at(torch.from_numpy(hull.distance), hull.lattice, patches.place).clamp(max=0.0)
        least = within * (hull.lattice.spacing / patches.apart)
        bending = own.tocsr() - sparse.csr_array(around, shape=(len(index), len(index)))
        return cls(bending, height.numpy(), held.double().numpy(), least.double().numpy())

    def settled(self, moves: Tensor, found: Tensor, trust: Tensor) -> Tensor:
        """(N,) by how much patches go inwards, in `apart`, to bend least. moves: (N,) where they are by now. found,
        trust: (N,) where each is to be, and the weight of that."""
        start, bending = moves.double().numpy(), self.bending
        out = _OUT * (start < self.least)
        weight = trust.double().numpy() + self.kept + out
        wanted = _STIFF * (bending.T @ self.height) + (trust * found).double().numpy() + out * self.least
        bent = LinearOperator(bending.shape, lambda each: _STIFF * (bending.T @ (bending @ each)) + weight * each)
        scale = sparse.diags_array(1.0 / (_STIFF * np.asarray(bending.multiply(bending).sum(0)).ravel() + weight))
        solved, _ = cg(bent, wanted, start, rtol=_NEARLY, maxiter=_STEPS, M=scale)
        return torch.from_numpy(solved).float().clamp(-REACH, REACH)
