# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering splats: against a slow reference of plain numbers, and its gradients against finite differences."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from image_to_3d.tests.geometry.splats import some
from image_to_3d.worker.core.harmonics import colours
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.methods.multiview_fit.splats import rasterise

NAMES = ("centres", "scales", "rotations", "opacities", "harmonics")


def view(width: int = 60, height: int = 44) -> View:
    turn = some.matrices(np.array([[0.97, 0.1, -0.2, 0.05]]) / np.linalg.norm([0.97, 0.1, -0.2, 0.05]))[0]
    return View(PinholeCamera(width, height, 62.0, 58.0, 29.0, 23.5), turn, turn.T @ np.array([0.1, -0.1, -3.5]))


def tensors(splats, dtype=torch.float32) -> list[torch.Tensor]:
    return [torch.tensor(getattr(splats, name), dtype=dtype) for name in NAMES]


def rendered(there, seen_from: View) -> rasterise.Seen:
    return rasterise.render(rasterise.Camera.of(seen_from, 10_000, torch.device("cpu")), *tensors(there))


def reference(there, seen_from: View) -> np.ndarray:
    """(H, W, 5): colours, depth where half of the light is gone, and opacity, splat by splat in double precision."""
    camera, rows = seen_from.camera, []
    turns = some.matrices(there.rotations.astype(np.float64))
    directions = there.centres - seen_from.position
    shown = colours(there.harmonics, directions / np.linalg.norm(directions, axis=1, keepdims=True))
    for k in range(len(there)):
        x, y, z = seen_from.rotation @ (there.centres[k].astype(np.float64) - seen_from.position)
        if z <= rasterise.NEAR:
            continue
        slope = [[camera.fx / z, 0, -camera.fx * x / z**2], [0, camera.fy / z, -camera.fy * y / z**2], [0, 0, 1]]
        axes = np.array(slope) @ seen_from.rotation @ turns[k] @ np.diag(there.scales[k].astype(np.float64))
        covariance, towards = (axes @ axes.T)[:2, :2], (axes @ axes.T)[:2, 2]
        wide = covariance + rasterise.FILTER * np.eye(2)
        dimmed = np.sqrt(max(np.linalg.det(covariance), 0.0) / np.linalg.det(wide))
        middle = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
        inverse = np.linalg.inv(wide)
        rows.append((z, middle, inverse, there.opacities[k] * dimmed, shown[k], inverse @ towards))
    picture, passed = np.zeros((camera.height, camera.width, 5)), np.ones((camera.height, camera.width))
    lines, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    for depth, middle, conic, opacity, value, tilt in sorted(rows, key=lambda row: row[0]):
        u, v = columns - middle[0], lines - middle[1]
        distance = conic[0, 0] * u * u + 2 * conic[0, 1] * u * v + conic[1, 1] * v * v
        alpha = np.minimum(opacity * np.exp(-distance / 2), rasterise.MOST)
        alpha[alpha < rasterise.LEAST] = 0.0
        picture[..., :3] += (alpha * passed)[..., None] * value
        halved = (passed >= 0.5) & (passed * (1.0 - alpha) < 0.5)
        picture[..., 3] += halved * (depth + tilt[0] * u + tilt[1] * v)
        passed *= 1.0 - alpha
    picture[..., 4] = 1.0 - passed
    return picture


def of_medium_size(count: int, degree: int):
    """Splats all of whose pixels lie within three deviations: fainter beyond than what is left out."""
    there = some.splats(count, degree)
    there.opacities[:] = np.minimum(there.opacities, 0.35)  # .35 exp(-4.5) < 1 / 255
    return there


@pytest.mark.parametrize("degree", [0, 3])
def test_a_thousand_splats_look_as_the_reference_says(degree):
    there = of_medium_size(1000, degree)
    found, wanted = rendered(there, view()), reference(there, view())
    assert np.abs(found.colours.numpy() - wanted[..., :3]).max() < 1e-4
    assert np.abs(found.opacities.numpy() - wanted[..., 4]).max() < 1e-4
    assert wanted[..., 4].mean() > 0.1


def test_how_far_it_sees_is_where_half_of_the_light_is_stopped():
    there = of_medium_size(1000, 0)
    there.opacities[:] = 0.35
    wanted = reference(there, view())
    camera = rasterise.Camera.of(view(), 10_000, torch.device("cpu"))
    depth, opacity = (found.numpy() for found in rasterise.depth(camera, *tensors(there)[:4]))
    assert np.abs(opacity - wanted[..., 4]).max() < 1e-4
    assert 0.1 < (wanted[..., 3] > 0).mean() < 1.0
    apart = np.abs(depth - wanted[..., 3])
    assert np.percentile(apart, 99.5) < 1e-3  # where just half is stopped, rounding decides between two splats


def test_gradients_are_those_of_finite_differences():
    there, seen_from = of_medium_size(12, 1), view(24, 20)
    camera = rasterise.Camera.of(seen_from, 10_000, torch.device("cpu"))
    camera = rasterise.Camera(
        *(getattr(camera, name) for name in ("width", "height", "fx", "fy", "cx", "cy")),
        camera.rotation.double(),
        camera.position.double(),
    )
    values = [value.requires_grad_() for value in tensors(there, torch.float64)]
    weights = torch.rand(20, 24, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def score(*given: torch.Tensor) -> torch.Tensor:
        seen = rasterise.render(camera, *given)
        whole = torch.cat([seen.colours, seen.opacities[..., None]], 2)
        return (whole * weights).sum()

    score(*values).backward()
    random = np.random.default_rng(0)
    for value in values:
        for _ in range(12):
            place = tuple(random.integers(0, size) for size in value.shape)
            ends = []
            for step in (1e-6, -1e-6):
                moved = value.detach().clone()
                moved[place] += step
                ends.append(float(score(*(moved if each is value else each.detach() for each in values))))
            slope = (ends[0] - ends[1]) / 2e-6
            # a pixel at the edge of what is left out jumps: few do, and no slope knows them
            assert abs(float(value.grad[place]) - slope) < 2e-3 * max(abs(slope), 1.0), place


def test_the_order_of_splats_and_of_tiles_does_not_matter():
    there = some.splats(200, 0)
    one = rendered(there, view())
    other = rendered(there.chosen(np.random.default_rng(0).permutation(200)), view())
    assert torch.allclose(one.colours, other.colours, atol=1e-5)


def test_nothing_is_seen_behind_the_camera_and_of_nothing():
    there = some.splats(50, 0)
    there.centres[:] = view().position - 2.0 * view().rotation[2]
    seen = rendered(there, view())
    assert float(seen.opacities.max()) == 0.0 and len(seen.shown) == 0
    assert rendered(there.chosen(np.zeros(50, bool)), view()).colours.shape == (44, 60, 3)


def test_a_picture_of_any_size_is_whole():
    there = some.splats(300, 0)
    small = rendered(there, View(PinholeCamera(13, 7, 14.0, 14.0, 6.5, 3.5), position=np.array([0.0, 0.0, -3.0])))
    assert small.colours.shape == (7, 13, 3) and torch.isfinite(small.colours).all()


@pytest.mark.skipif(importlib.util.find_spec("gsplat") is None, reason="gsplat is not installed")
def test_it_looks_as_gsplat_says():
    if not torch.cuda.is_available():
        pytest.skip("gsplat needs a card")
    from gsplat import rasterization

    there, seen_from = of_medium_size(1000, 0), view()
    values = [value.cuda() for value in tensors(there)]
    place = torch.eye(4)
    place[:3, :3] = torch.tensor(seen_from.rotation)
    place[:3, 3] = torch.tensor(-seen_from.rotation @ seen_from.position)
    k = seen_from.camera
    matrix = torch.tensor([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1.0]])
    colour = (values[4][:, 0] * 0.28209479177387814 + 0.5).clamp_min(0)
    found = rasterization(
        values[0], values[2], values[1], values[3], colour, place[None].cuda(), matrix[None].cuda(), k.width, k.height,
        eps2d=rasterise.FILTER, rasterize_mode="antialiased",
    )[0][0]  # fmt: skip
    assert float((found.cpu() - rendered(there, seen_from).colours).abs().max()) < 2e-3
