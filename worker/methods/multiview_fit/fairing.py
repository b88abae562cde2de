# SPDX-License-Identifier: GPL-3.0-or-later
"""The surface that bends least within a visual hull and still reaches its outlines.

Between its outlines a hull is too large, with facets and ridges that tell where the cameras stood: tents on a box's
sides, facets around a bowl. So its patches are moved inwards until the surface bends least, as a thin plate does, and
stay where several outlines meet: along edges, and on what is thin.

Imported on use: it brings torch. Distances are in cells, positive outside. Must not know photos' colours.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg

from ...core.job import Job, Span
from .grid_space import at, redistanced
from .outlines import Hull
from .patches import REACH, Patches

_FREE, _HELD = 1e-5, 3.0
"""Weights of staying beside that of bending, 1: where one or two outlines run, as everywhere on a hull, and where more
do. Held with .03, a sugar box lost its edges: 17.6 dB in clay instead of 25.4, its hull has 24.6."""

_ON = 0.25
"""Cells within which an outline runs through a patch. On the same box, whose surface went on bending least while photos
moved it: 25.5 dB with .2, 25.4 with .3, 24.8 with .6, as ridges are held too, and 22.6 with .12, as edges are lost."""

_OUT = 10.0  # weight of not leaving the hull
_LONELY = 0.5  # sum of neighbours' weights of a patch that has too few to be plane with
_SLANT = 0.02  # of the weights' moments: fitted planes lean less where neighbours lie on a line
_TIMES = 6  # which patches would leave the hull is seen so often
_NEARLY, _STEPS = 1e-4, 600  # when the conjugate gradients have converged, and how many steps they may take


@torch.no_grad()
def faired(hull: Hull, job: Job | Span) -> np.ndarray:
    """The signed distance (X + 1, Y + 1, Z + 1) float32 of the surface that bends least within a hull. job: hears each
    step."""
    patches = Patches.of(hull.distance, hull.lattice)
    if patches is None:
        return hull.distance
    bending, height = _bending(patches)
    held = _FREE + _HELD * ((hull.touching(patches.place, _ON) - 2.0) / 2.0).clamp(0.0, 1.0).double().numpy()
    within = at(torch.from_numpy(hull.distance), hull.lattice, patches.place).clamp(max=0.0)
    least = (within * (hull.lattice.spacing / patches.apart)).double().numpy()  # negative: that far it may go outwards
    stiff, moves = np.asarray(bending.multiply(bending).sum(0)).ravel(), np.zeros(len(held))
    for number in range(_TIMES):
        job.report(number / _TIMES, "smoothing the shape")
        out = _OUT * (moves < least)
        weight = held + out
        bent = LinearOperator(bending.shape, lambda each, w=weight: bending.T @ (bending @ each) + w * each)
        wanted, near = bending.T @ height + out * least, sparse.diags_array(1.0 / (stiff + weight))
        moves = cg(bent, wanted, moves, rtol=_NEARLY, maxiter=_STEPS, M=near)[0].clip(-REACH, REACH)
    moved = patches.moved(torch.minimum(torch.from_numpy(moves).float(), patches.room()))
    return redistanced(np.maximum(moved, hull.distance))


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
