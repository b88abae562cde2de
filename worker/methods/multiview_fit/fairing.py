# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface that bends least within a visual hull and still reaches its outlines.

Between its outlines a hull is too large, with facets and ridges that tell where the cameras stood: tents on a box's
sides, facets around a bowl. But each ray along an outline touches the thing only somewhere. So the hull's patches are
moved inwards until the surface bends least, as a thin plate does, and each ray is still touched where that bends it
least: at the one patch of an edge, in the middle of a facet of what is round.

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
from .outlines import Grazing, Hull
from .patches import REACH, Patches

_TOUCHED = (0.1, 0.1, 0.1, 0.3, 0.3, 0.3)
"""Weights of a ray's being touched beside that of bending, 1, each time that it is seen anew where. Of a box and a
bottle, clay is as good (25.5 and 26.3 dB, their hulls have 24.6 and 25.9) from .03 growing to .3, or to 1; never more
than .1 is worse (24.9 and 25.6), and so is 3, which holds bumps."""

_SHARP = 0.03
"""Cells by which another patch must be farther from a ray to be held by it a third as much as the nearest: .015 and .06
are as good, with .1 facets stay."""

FREE = 1e-5  # weight of staying
_OUT = 10.0  # weight of not leaving the hull
_LONELY = 0.5  # sum of neighbours' weights of a patch that has too few to be plane with
_SLANT = 0.02  # of the weights' moments: fitted planes lean less where neighbours lie on a line
_NEARLY, _STEPS = 1e-4, 600  # when the conjugate gradients have converged, and how many steps they may take


@torch.no_grad()
def faired(hull: Hull, job: Job | Span) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) float32 of the surface that bends least within a hull. job: hears each
    step."""
    patches = Patches.of(hull.distance, hull.lattice)
    if patches is None:
        return hull.distance
    none = torch.zeros(len(patches.place))
    moves = torch.minimum(Plate.of(patches, hull).bent(none, none, 1.0 - none, job), patches.room())
    return redistanced(np.maximum(patches.moved(moves), hull.distance))


@dataclass(frozen=True, eq=False)
class Plate:
    """How patches bend: moved inwards by m (N,), in `apart`, they stand out by `height` - `bending` m of planes through
    their neighbours (moving least squares, which is exact for planes at a border, too). grazing: the rays along
    outlines beside them. least: (N,) how far inwards each must go, negative where it may go outwards. sharp: how much
    farther from a ray a patch must be to be hardly held by it, in `apart`."""

    bending: sparse.csr_array
    height: np.ndarray
    grazing: Grazing
    least: np.ndarray
    sharp: float

    @classmethod
    def of(cls, patches: Patches, hull: Hull) -> Plate:
        cell = hull.lattice.spacing / patches.apart
        grazing = hull.grazing(patches.place, patches.normal, patches.apart)
        within = at(torch.from_numpy(hull.distance), hull.lattice, patches.place).clamp(max=0.0)
        return cls(*_bending(patches), grazing, (within * cell).double().numpy(), _SHARP * cell)

    def bent(self, found: Tensor, trust: Tensor, held: Tensor, job: Job | Span, staying: float = FREE) -> Tensor:
        """(N,) how far patches go inwards, in `apart`, to bend least. found, trust: (N,) where else each is to be, and
        the weight of that. held: (N,) how much outlines may hold it, 1 at most. job: hears each step. staying: weight
        of staying where it is."""
        bending, least, moves = self.bending, self.least, np.zeros(len(self.least))
        found, trust, held = (each.double().numpy() for each in (found, trust, held))
        stiff = np.asarray(bending.multiply(bending).sum(0)).ravel()
        for number, touched in enumerate(_TOUCHED):
            job.report(number / len(_TOUCHED), "smoothing the shape")
            weight, pulled = self._touching(moves)
            weight, pulled, out = touched * held * weight, touched * held * pulled, _OUT * (moves < least)
            pulled += trust * found + out * least + bending.T @ self.height
            weight += trust + out + staying
            bent = LinearOperator(bending.shape, lambda each, w=weight: bending.T @ (bending @ each) + w * each)
            near = sparse.diags_array(1.0 / (stiff + weight))
            moves = cg(bent, pulled, moves, rtol=_NEARLY, maxiter=_STEPS, M=near)[0].clip(-REACH, REACH)
        return torch.from_numpy(moves).float()

    def _touching(self, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) how much rays hold each patch, each of them with a weight of 1 that those have which are nearest to it,
        and (N,) the same times where they hold it."""
        point, inwards, ray = self.grazing.point, self.grazing.inwards, self.grazing.ray
        away, nearest = np.abs(moves[point] - inwards) / self.sharp, np.full(self.grazing.rays, np.inf)
        np.minimum.at(nearest, ray, away)
        share = np.exp(nearest[ray] - away)
        share /= np.bincount(ray, share)[ray]
        return np.bincount(point, share, len(moves)), np.bincount(point, share * inwards, len(moves))


def _bending(patches: Patches) -> tuple[sparse.csr_array, np.ndarray]:
    """(N, N) B and (N,) h: moved inwards by m (N,), in `apart`, patches stand out by h - B m of planes through their
    neighbours (moving least squares, which is exact for planes at a border, too)."""
    index, weight = patches.index, patches.weight.double()
    step, normal = ((patches.place[index] - patches.place[:, None]) / patches.apart).double(), patches.normal.double()
    flat = [(step * tangent[:, None]).sum(2) for tangent in patches.tangents(torch.arange(len(index)))]
    flat = torch.stack([torch.ones_like(flat[0]), *flat], 2)
    moments = torch.einsum("nk,nka,nkb->nab", weight, flat, flat)
    moments += torch.diag(torch.tensor([1e-9, _SLANT, _SLANT], dtype=torch.float64))
    middle = torch.linalg.solve(moments, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(len(index), 3))
    bends = (weight.sum(1) >= _LONELY).double()
    share = torch.einsum("na,nka,nk->nk", middle, flat, weight) * bends[:, None]
    alike = (normal[index] * normal[:, None]).sum(2)
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    around = ((share * alike).flatten().numpy(), (rows, index.flatten().numpy()))
    own = sparse.diags_array(bends.numpy()).tocsr()
    return own - sparse.csr_array(around, shape=own.shape), -(share * (step * normal[:, None]).sum(2)).sum(1).numpy()
