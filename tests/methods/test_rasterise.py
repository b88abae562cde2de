# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering splats: against a slow reference of plain numbers, and its gradients against finite differences."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest
import torch
from image_to_3d.tests.geometry.splats import some
from image_to_3d.worker.core.harmonics import colours
from image_to_3d.worker.core.view import PinholeCamera, View
from image_to_3d.worker.methods.multiview_fit.splats import on_card, rasterise

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
    assert float(seen.opacities.max()) == 0.0
    assert rendered(there.chosen(np.zeros(50, bool)), view()).colours.shape == (44, 60, 3)


def test_a_picture_of_any_size_is_whole():
    there = some.splats(300, 0)
    small = rendered(there, View(PinholeCamera(13, 7, 14.0, 14.0, 6.5, 3.5), position=np.array([0.0, 0.0, -3.0])))
    assert small.colours.shape == (7, 13, 3) and torch.isfinite(small.colours).all()


@pytest.fixture
def on_gsplat(monkeypatch):
    """Has pictures rendered by what stands in for gsplat."""

    def use(stand_in) -> None:
        monkeypatch.setattr(on_card, "rasterization", lambda: stand_in)
        monkeypatch.setattr(on_card, "usable", lambda device: stand_in is not None)

    return use


def as_gsplat(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **more):
    """A stand-in with gsplat's names, shapes and units (its docs, rasterization), on our own rasteriser."""
    assert viewmats.shape == (1, 4, 4) and Ks.shape == (1, 3, 3) and colors.shape[1] == (more["sh_degree"] + 1) ** 2
    assert (more["near_plane"], more["eps2d"]) == (rasterise.NEAR, rasterise.FILTER)
    assert (more["rasterize_mode"], more["packed"]) == ("antialiased", False)
    [placed], [lens] = viewmats, Ks
    rotation, position = placed[:3, :3], -placed[:3, :3].T @ placed[:3, 3]
    numbers = (float(lens[place]) for place in ((0, 0), (1, 1), (0, 2), (1, 2)))
    camera = rasterise.Camera(width, height, *numbers, rotation, position)
    flat = rasterise._Flat.of(camera, means, scales, quats, opacities)
    directions = torch.nn.functional.normalize(means - position, dim=1)
    values = torch.cat([rasterise.colours_of(colors, directions), torch.ones_like(means[:, :1])], 1)[flat.shown]
    picture = flat.picture(values, rasterise._Blended.apply)
    return picture[None, ..., :3], picture[None, ..., 3:], {}


@pytest.mark.parametrize("degree", [0, 2])
def test_gsplat_is_asked_for_the_same_picture(on_gsplat, degree):
    there = some.splats(300, degree)
    wanted = rendered(there, view())
    on_gsplat(as_gsplat)
    found = rendered(there, view())
    assert torch.allclose(found.colours, wanted.colours, atol=1e-5)
    assert torch.allclose(found.opacities, wanted.opacities, atol=1e-5)


def test_gsplat_is_taken_on_a_card_and_only_with_its_kernels(monkeypatch):
    def installed(kernels) -> None:
        modules = {name: types.ModuleType(name) for name in ("gsplat", "gsplat.cuda", "gsplat.rendering")}
        modules["gsplat.cuda._backend"] = types.SimpleNamespace(_C=kernels)
        modules["gsplat.rendering"].rasterization = as_gsplat
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        on_card.rasterization.cache_clear()

    cpu, card = torch.device("cpu"), torch.device("cuda")
    try:
        installed(object())
        assert on_card.usable(card) and not on_card.usable(cpu)
        installed(None)
        assert not on_card.usable(card)
        monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", None)
        on_card.rasterization.cache_clear()
        assert not on_card.usable(card)
    finally:
        on_card.rasterization.cache_clear()


def gsplat_reference(means, quats, scales, opacities, colors, viewmats, Ks, width, height, **more):
    """gsplat's own projection and harmonics in torch, which need no card, blended pixel by pixel."""
    from gsplat.cuda import _torch_impl as own

    covariances, _ = own._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    lens = (viewmats, Ks, width, height, more["eps2d"], more["near_plane"])
    radii, middles, depths, conics, dimmed = own._fully_fused_projection(
        means, covariances, *lens, calc_compensations=True
    )
    place = torch.inverse(viewmats)[0, :3, 3]
    shown = (own._spherical_harmonics(more["sh_degree"], means - place, colors) + 0.5).clamp_min(0.0)
    rows, columns = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    picture, passed = torch.zeros(height, width, 4), torch.ones(height, width)
    for k in depths[0].argsort().tolist():
        if not (radii[0, k] > 0).all():
            continue
        u, v = middles[0, k, 0] - columns, middles[0, k, 1] - rows
        a, b, c = conics[0, k]
        alpha = opacities[k] * dimmed[0, k] * (-(a * u * u + c * v * v) / 2 - b * u * v).exp()
        alpha = torch.where(alpha >= 1 / 255, alpha.clamp_max(0.999), 0.0)
        picture = picture + (alpha * passed)[..., None] * torch.cat([shown[k], torch.ones(1)])
        passed = passed * (1.0 - alpha)
    return picture[None, ..., :3], picture[None, ..., 3:], {}


@pytest.mark.skipif(importlib.util.find_spec("gsplat") is None, reason="gsplat is not installed")
@pytest.mark.parametrize("degree", [0, 3])
def test_it_looks_as_gsplat_says(on_gsplat, degree):
    """So do its gradients; by its kernels where there is a card, else by what it says in torch."""
    there, card = of_medium_size(300, degree), torch.cuda.is_available()
    weights = torch.rand(44, 60, 4, generator=torch.Generator().manual_seed(0))

    def seen(device: str) -> list[torch.Tensor]:
        """The picture, and the gradients of a sum of it."""
        camera = rasterise.Camera.of(view(), 10_000, torch.device(device))
        values = [value.to(device).requires_grad_() for value in tensors(there)]
        found = rasterise.render(camera, *values)
        picture = torch.cat([found.colours, found.opacities[..., None]], 2)
        (picture * weights.to(device)).sum().backward()
        return [each.cpu() for each in (picture.detach(), *(value.grad for value in values))]

    wanted, slopes = (own := seen("cpu"))[0], own[1:]
    if not card:
        on_gsplat(gsplat_reference)
    picture, *gradients = seen("cuda" if card else "cpu")
    assert float((picture - wanted).abs().max()) < (2e-3 if card else 1e-4)
    for found, slope in zip(gradients, slopes):
        assert float((found - slope).norm() / slope.norm()) < (2e-2 if card else 1e-3)
