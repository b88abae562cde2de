# SPDX-License-Identifier: GPL-3.0-or-later
"""Refine Selected in a real Blender, by mouse, from the fresh scene: a sculpted lump, and what the included network
made, each with a picture of a thing that is known, so that what it is worth is measured."""

from pathlib import Path

import numpy as np
import pytest
from image_to_3d.tests.gui.driver import Blender
from image_to_3d.tests.gui.hand import (
    choose_picture,
    generate,
    look_at,
    open_panel,
    open_the_tab,
    over_the_view,
    scrolled_to,
)

pytestmark = pytest.mark.timeout(900)

JOB_LIMIT = 300.0
TILT = np.radians(10.0)
PLACE = np.array([0.0, 0.9, 5.0])  # of the camera that takes the picture, as in probe.sculpt, before the thing
TURN = np.array([[1.0, 0.0, 0.0], [0.0, -np.cos(TILT), np.sin(TILT)], [0.0, -np.sin(TILT), -np.cos(TILT)]])


def test_a_sculpted_lump_and_a_generated_thing_get_what_the_picture_shows(
    start, user, workers_python, tmp_path, shot, record_testsuite_property
):
    measured = pytest.importorskip("image_to_3d.worker.finish.refined", exc_type=ImportError) and told
    screen = start(user, tmp_path / "home", python=workers_python)
    screen.ask(f"sculpt({str(tmp_path)!r})", JOB_LIMIT)
    lump = screen.ask("shape('lump')")
    open_the_tab(screen)
    screen.ask("watch_panels()")
    look_at(screen)
    shot(screen, "lump")
    screen.ask(f"sent('lump', {str(tmp_path / 'before.glb')!r})")
    choose_picture(screen, tmp_path / "truth.png")
    refine_selected(screen, "lump")
    shot(screen, "lump-refined")
    screen.ask(f"sent('lump', {str(tmp_path / 'after.glb')!r})")
    before, after = (measured(tmp_path / f"{name}.glb", tmp_path) for name in ("before", "after"))
    record_testsuite_property("lump, IoU and degrees, before and after", (before, after))
    print("lump", before, after)
    assert after[0] > 0.96 > before[0] + 0.03 and after[1] < before[1]
    undone(screen, "lump")
    assert screen.ask("shape('lump')") == lump

    screen.turn_wheel("4", 20)
    generate(screen, JOB_LIMIT)
    screen.until("objects().get('truth')")
    made = screen.ask("shape('truth')")
    shot(screen, "made")
    screen.ask(f"sent('truth', {str(tmp_path / 'before.glb')!r})")
    refine_selected(screen, "truth")
    shot(screen, "made-refined")
    screen.ask(f"sent('truth', {str(tmp_path / 'after.glb')!r})")
    before, after = (measured(tmp_path / f"{name}.glb", tmp_path) for name in ("before", "after"))
    record_testsuite_property("generated, IoU and degrees, before and after", (before, after))
    print("generated", before, after)
    assert after[0] >= before[0] and after[1] < before[1] + 0.5
    undone(screen, "truth")
    assert screen.ask("shape('truth')") == made


def refine_selected(screen: Blender, name: str) -> None:
    """Presses Refine Selected and waits until the old one is put away."""
    if not screen.ask("is_drawn('IMAGE_TO_3D_PT_work_on')"):
        open_panel(screen, "IMAGE_TO_3D_PT_work_on")
    screen.click(scrolled_to(screen, "image_to_3d.refine_selected", (0.3,)))
    screen.until("objects()", lambda found: f"{name} before" in found or screen.ask("state()")["problem"], JOB_LIMIT)
    assert screen.ask("state()")["problem"] is None
    now = screen.ask("objects()")
    assert now[name]["visible"] and now[name]["selected"] and not now[f"{name} before"]["visible"]


def undone(screen: Blender, name: str) -> None:
    """One Ctrl+Z over the view: the old one is there again, and nothing else."""
    over_the_view(screen)
    screen.press("ctrl+z")
    screen.until("objects()", lambda found: f"{name} before" not in found)
    assert screen.ask("objects()")[name]["visible"]


def told(mesh: Path, folder: Path) -> tuple[float, float]:
    """How far a mesh's outline agrees with the picture's (IoU), from where Refine puts the camera, and the mean degrees
    between its normals there and the true ones."""
    from image_to_3d.worker.core.job import Job
    from image_to_3d.worker.core.view import View
    from image_to_3d.worker.finish.refined import located, opened
    from image_to_3d.worker.geometry.texturing.facing import faced
    from image_to_3d.worker.pictures.load import load
    from image_to_3d.worker.pipeline.facing import facing
    from image_to_3d.worker.pipeline.refine import seen
    from image_to_3d.worker.pipeline.request import Machine
    from image_to_3d.worker.store.weights import WeightStore

    picture = load(folder / "truth.png", Job(lambda *_: None).check)
    machine, job = Machine(WeightStore(folder), folder, "cpu"), Job(lambda *_: None)
    view, iou = located(opened(mesh, 256), facing(seen(picture, machine), picture, machine, job))
    small = view.camera.scaled(256, 256)
    own, true = (
        faced(found.mesh.vertices, found.mesh.faces, there)
        for found, there in (
            (opened(mesh, 256), View(small, view.rotation, view.position)),
            (opened(folder / "truth.glb", 256), View(small, TURN, PLACE)),
        )
    )
    both = own.any(axis=2) & true.any(axis=2)
    return iou, float(np.degrees(np.arccos(np.clip((own * true).sum(axis=2)[both], -1.0, 1.0))).mean())
