# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel offers beside the one job: the queue, the history, pictures from elsewhere, what is remembered."""

import dataclasses
import math
import os
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import run_until
from image_to_3d.tests.blender.test_addon import chosen, own_settings
from image_to_3d.tests.blender.test_environments import Layout, Region

KEPT_OPTIONS = {"faces": 4321, "fov": 40.0, "size": 1.5, "solid": True}


def session(addon):
    return addon("ui.timer").session()


@pytest.fixture
def other(picture, tmp_path) -> str:
    path = tmp_path / "another.png"
    path.write_bytes(Path(picture).read_bytes())
    return str(path)


# ---- the queue


def test_generate_adds_to_a_queue_whose_jobs_all_arrive(bpy, addon, fake_worker, picture, other, quad, tmp_path):
    fake_worker({"initialize": [{"shipped": True}], "generate": [{"wait_for": "go"}, {"copy": quad}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.shown.stage and session.state.name == "BUSY" and session.line.running)
    assert bpy.ops.image_to_3d.generate() == {"CANCELLED"} and not session(addon).queue, "it is made already"
    own_settings(bpy).picture = other
    bpy.ops.image_to_3d.generate()
    own_settings(bpy).category_Depth.preset = "fast"
    bpy.ops.image_to_3d.generate()
    assert [job.label.title for job in session(addon).queue] == ["another.png"] * 2
    assert session(addon).queue[1].label.detail.endswith("fast")
    bpy.ops.image_to_3d.unqueue(number=session(addon).queue[0].number)
    (tmp_path / "go").touch()
    run_until(addon, lambda session: not session.moving and not session.queue and not session.results.waiting)
    sent = [each["params"] for each in fake_worker.requests("generate")]
    assert [each["pictures"] for each in sent] == [[picture], [other]] and sent[1]["preset"] == "fast"
    assert len(bpy.data.objects) == 2


def test_a_cancelled_job_is_said_until_the_next_one(bpy, addon, fake_worker, picture, quad):
    fake_worker({"generate": [{"wait": "cancel"}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.job and session.job.method == "generate" and session.state.name == "BUSY")
    bpy.ops.image_to_3d.cancel()
    run_until(addon, lambda session: not session.moving)
    assert addon("ui.wording").cancelled(session(addon).results.cancelled) == "Cancelled: A photo.png"
    assert addon("ui.job_panel").has_outcome(session(addon))
    bpy.ops.image_to_3d.dismiss()
    assert not addon("ui.job_panel").has_outcome(session(addon))


def test_another_file_during_a_job_is_said_and_the_mesh_comes_into_it(bpy, addon, fake_worker, picture, quad, tmp_path):
    fake_worker({"generate": [{"wait_for": "go"}, {"copy": quad}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    assert not addon("ui.timer").opened_another_file()
    bpy.ops.wm.read_homefile(use_empty=True)
    assert addon("ui.timer").opened_another_file()
    (tmp_path / "go").touch()
    run_until(addon, lambda session: session.results.last)
    assert len(bpy.data.objects) == 1 and not addon("ui.timer").opened_another_file()


# ---- what the worker is unsure of


def outcome(bpy, addon) -> Layout:
    @dataclasses.dataclass
    class Context:
        preferences = bpy.context.preferences
        window_manager = bpy.context.window_manager
        region = Region()

    layout = Layout()
    addon("ui.job_panel").draw_outcome(layout, Context(), session(addon))
    return layout


def test_a_few_placed_photos_bring_a_tick_and_with_it_the_next_try_goes_on(bpy, addon, fake_worker, picture, other):
    refused = {"error": [-32014, "only 3 of 12 pictures have found their place", {"option": "allow_partial"}]}
    fake_worker({"initialize": [{"shipped": True}], "generate": [refused]})
    own = own_settings(bpy)
    own.category, own.picture, own.others = "NeRF", picture, other
    own.category_NeRF.network = "photos"
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.problem)
    run_until(addon, lambda session: not session.moving)
    drawn = outcome(bpy, addon)
    assert "only 3 of 12" in drawn.said.lower() and drawn.settings == ["option_allow_partial"]
    own.method_photos.option_allow_partial = True
    bpy.ops.image_to_3d.generate()
    assert session(addon).problem is None
    run_until(addon, lambda session: session.problem)
    sent = [each["params"]["options"].get("allow_partial") for each in fake_worker.requests("generate")]
    assert sent == [None, True]


# ---- the history


@pytest.fixture
def kept(bpy, addon, fake_worker, picture, quad, tmp_path):
    """One result in the history; gives its entry."""
    clay = tmp_path / "clay.png"
    clay.write_bytes(Path(picture).read_bytes())
    made = {"pictures": [picture], "digests": ["0" * 64], "category": "Depth", "method": "depth", "network": "included"}
    made |= {"label": "Included", "licence": "GPL-3.0-or-later", "revision": "1", "preset": "high", "version": "1"}
    made |= {"options": KEPT_OPTIONS, "date": "2026-01-02T03:04:05+00:00"}
    entry = {"key": "k1", "name": "vase", "faces": 12_345, "seconds": 75.0, "bytes": 1000, "provenance": made}
    entry |= {"thumbnail": picture, "clay": str(clay)}
    history = {"result": {"entries": [entry], "bytes": 350_000_000, "limit": 10_000_000_000}}
    script = {"initialize": [{"shipped": True}], "history": [history], "history/fetch": [{"copy": quad}]}
    fake_worker(script | {"generate": [{"copy": quad}]})
    own_settings(bpy).picture = picture
    run_until(addon, lambda session: session.history.told.entries)
    return session(addon).history.told.entries[0]


def test_a_result_is_placed_again(bpy, addon, fake_worker, kept):
    bpy.ops.image_to_3d.place_again(key="k1")
    run_until(addon, lambda session: session.results.last)
    assert len(bpy.data.objects) == 1 and [each["params"]["key"] for each in fake_worker.requests("history/fetch")] == [
        "k1"
    ]
    assert "from the cache" in addon("ui.wording").made(session(addon).results.last)


def test_its_settings_come_back_into_the_panel_to_the_last_value(bpy, addon, kept, picture):
    own = own_settings(bpy)
    own.category, own.picture = "NeRF", ""
    bpy.ops.image_to_3d.load_kept_settings(key="k1")
    assert (own.category, own.category_Depth.network, own.category_Depth.preset) == ("Depth", "included", "high")
    recipe = chosen(bpy, addon).recipe
    assert recipe.question.pictures == (picture,)
    values = recipe.options["depth"] | {
        "fov": addon("ui.properties").value(
            own, chosen(bpy, addon).method, next(o for o in chosen(bpy, addon).method.options if o.name == "fov")
        )
    }
    assert KEPT_OPTIONS.items() <= values.items()


def test_it_is_made_again_without_the_cache(bpy, addon, fake_worker, kept, picture):
    bpy.ops.image_to_3d.make_again(key="k1")
    run_until(addon, lambda session: session.results.last)
    [sent] = fake_worker.requests("generate")
    wanted = {"pictures": [picture], "preset": "high", "network": "included", "cached": False, "options": KEPT_OPTIONS}
    assert wanted.items() <= sent["params"].items()


def test_it_is_removed_and_everything_is_cleared(bpy, addon, fake_worker, kept):
    bpy.ops.image_to_3d.forget(key="k1")
    run_until(addon, lambda session: not session.moving)
    bpy.ops.image_to_3d.clear_history()
    run_until(addon, lambda session: not session.moving and not session.history.told.entries)
    removed = [each["params"] for each in fake_worker.requests("history/remove")]
    assert removed == [{"keys": ["k1"], "everything": False}, {"keys": [], "everything": True}]
    assert bpy.ops.image_to_3d.place_again(key="k1") == {"CANCELLED"}


def test_there_are_thumbnails_textured_and_as_clay(bpy, addon, kept):
    gallery = addon("ui.previews").gallery
    addon("ui.timer")._tick()
    assert kept.thumbnail in gallery.held and kept.clay not in gallery.held
    own_settings(bpy).clay = True
    addon("ui.timer")._tick()
    assert kept.clay in gallery.held
    own_settings(bpy).clay = False


# ---- estimates and menus


def test_tooltips_tell_faces_texture_and_time(bpy, addon, fake_worker, picture):
    entries = addon("ui.menus").items("presets", "Depth")
    addon("ui.timer")._tick()
    assert "At most 30,000 faces, texture of 1024 pixels" in addon("ui.menus").items("presets", "Depth")[0][2]
    estimates = [{"preset": name, "seconds": 42.0, "faces": 5, "texture": 6} for name in ("fast", "balanced", "high")]
    answer = {"result": {"presets": estimates, "memory": 2_000_000_000}}
    fake_worker({"initialize": [{"shipped": True}], "estimate": [answer]})
    own_settings(bpy).picture = picture
    own_settings(bpy).category_Depth.network = "included"
    run_until(addon, lambda session: session.estimate.answer)
    addon("ui.timer")._tick()
    assert [entry[0] for entry in addon("ui.menus").items("presets", "Depth")] == [entry[0] for entry in entries]
    assert "5 faces, texture of 6 pixels, about 40 s" in addon("ui.menus").items("presets", "Depth")[1][2]
    assert addon("ui.wording").estimate(session(addon).estimate.answer, "high") == "about 40 s, 2 GB of memory"


def test_the_menu_of_networks_tells_size_and_licence(bpy, addon):
    addon("ui.timer")._tick()
    entries = {name: (label, about) for name, label, about, *_ in addon("ui.menus").items("networks", "Diffusion")}
    assert entries["triposg"][0] == "TripoSG  (7.95 GB)" and "Licence: MIT" in entries["triposg"][1]
    assert "Not installed" in entries["triposg"][1] and "Installed" in entries["included-generator"][1]


# ---- settings


def test_the_field_of_view_is_automatic_until_it_is_not(bpy, addon):
    group = own_settings(bpy).method_depth
    assert group.zero_fov
    group.zero_fov = False
    assert math.degrees(group.option_fov) == pytest.approx(50.0)
    assert chosen(bpy, addon).recipe.options["depth"] == {"fov": 50.0} and not own_settings(bpy).method_layers.zero_fov
    group.zero_fov = True
    assert group.option_fov == 0.0 and chosen(bpy, addon).recipe.options["depth"] == {}


def test_dice_choose_another_seed(bpy, addon):
    own = own_settings(bpy)
    own.category = "Diffusion"
    before = own.method_generator.option_seed
    bpy.ops.image_to_3d.throw_dice()
    assert own.method_generator.option_seed != before
    assert own.method_triposg.option_seed == own.method_generator.option_seed


def test_the_last_choices_are_there_at_the_next_start_and_the_pictures_are_not(bpy, addon, picture):
    import addon_utils

    own, timer = own_settings(bpy), addon("ui.timer")
    own.category, own.picture = "Diffusion", picture
    own.category_Diffusion.preset = "high"
    own.method_generator.option_steps = 77
    timer._tick()
    timer._lasting = timer._lasting[0], timer._lasting[1] - timer.REMEMBER_AFTER - 1
    timer._tick()
    addon_utils.disable("bl_ext.user_default.image_to_3d")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert addon_utils.enable("bl_ext.user_default.image_to_3d", default_set=True)
    addon("ui.timer")._tick()
    own = own_settings(bpy)
    assert (own.category, own.category_Diffusion.preset, own.picture) == ("Diffusion", "high", "")
    assert own.method_generator.option_steps == 77


def test_own_presets_are_saved_and_come_back(bpy, addon):
    own = own_settings(bpy)
    own.category = "Diffusion"
    own.category_Diffusion.network = "included-generator"
    own.method_generator.option_steps = 33
    bpy.ops.image_to_3d.add_preset(name="Mine")
    [path] = Path(bpy.utils.user_resource("SCRIPTS", path="presets/image_to_3d")).glob("*.py")
    own.method_generator.option_steps, own.category = 5, "Depth"
    bpy.ops.script.execute_preset(filepath=str(path), menu_idname="IMAGE_TO_3D_MT_presets")
    assert own.category == "Diffusion" and own.method_generator.option_steps == 33
    path.unlink()


def test_not_from_the_cache(bpy, addon, picture):
    own_settings(bpy).picture, own_settings(bpy).fresh = picture, True
    assert chosen(bpy, addon).recipe.cached is False
    own_settings(bpy).fresh = False
    assert chosen(bpy, addon).recipe.cached is True


# ---- pictures


def test_one_of_several_photos_is_taken_out(bpy, addon):
    properties, own = addon("ui.properties"), own_settings(bpy)
    properties.choose(own, ["/a.png", "/b.png", "/c.png"])
    bpy.ops.image_to_3d.take_out(place=1)
    assert properties.pictures(own) == ("/a.png", "/c.png")
    bpy.ops.image_to_3d.take_out(place=0)
    bpy.ops.image_to_3d.take_out(place=0)
    assert properties.pictures(own) == () and not properties.is_several(own)


@pytest.mark.parametrize(
    "text, paths",
    [
        ("/a b.png", ["/a b.png"]),
        ("file:///a%20b.png\nfile:///c.JPG\n", ["/a b.png", "/c.JPG"]),
        ('"/a.mp4"', ["/a.mp4"]),
        ("/tmp", ["/tmp"]),
        ("some words", []),
        ("/a.png\nand words", []),
        ("", []),
    ],
)
def test_the_clipboard_has_pictures_where_it_has_nothing_but_paths(addon, text, paths):
    assert addon("ui.picture_operators").paths_in(text) == paths


def test_an_image_in_blender_is_taken_as_it_is(bpy, addon, picture):
    image = bpy.data.images.load(picture)
    bpy.ops.image_to_3d.take_image(image=image.name)
    assert own_settings(bpy).picture == picture
    drawn = bpy.data.images.new("drawn", 4, 4)
    drawn.pixels = [0.25, 0.5, 0.75, 1.0] * 16
    bpy.ops.image_to_3d.take_image(image="drawn")
    path = Path(own_settings(bpy).picture)
    assert path.name == "drawn.png" and path.read_bytes()[:4] == b"\x89PNG" and drawn.source == "GENERATED"
    assert bpy.data.images.load(str(path)).pixels[0] == pytest.approx(0.25, abs=0.01)
    assert bpy.ops.image_to_3d.take_image(image="Render Result") == {"CANCELLED"}
    os.remove(path)


def test_a_folder_shows_its_photos_and_a_video_its_beginning(bpy, addon, tmp_path, picture):
    previews, film = addon("ui.previews"), tmp_path / "film.mp4"
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png", "a_mask.png"):
        (folder / name).write_bytes(Path(picture).read_bytes())
    own_settings(bpy).picture = str(folder)
    addon("ui.timer")._tick()
    wanted = (str(folder / "a.png"), str(folder / "b.png"))
    assert previews.folder.pictures == previews.gallery.held == wanted
    assert addon("ui.wording").folder(2) == "2 photos in it"
    film.write_bytes(b"")
    own_settings(bpy).picture = str(film)
    addon("ui.timer")._tick()
    assert previews.folder.pictures == () and previews.gallery.held == (str(film),)
    own_settings(bpy).picture = ""


def test_of_a_video_it_is_said_how_long_it_is_and_what_is_taken(bpy, addon, tmp_path):
    if not bpy.app.ffmpeg.supported:
        pytest.skip("this Blender opens no videos")
    previews, film = addon("ui.previews"), tmp_path / "film.mp4"
    write_film(bpy, film, 90)
    own_settings(bpy).picture = str(film)
    addon("ui.timer")._tick()
    assert previews.video.frames == 90 and previews.video.seconds == pytest.approx(90 / 24, abs=0.1)
    assert not bpy.data.movieclips
    said = addon("ui.wording").video(previews.video.frames, previews.video.seconds)
    assert said == "A video of 3.8 s with 90 frames: the 60 sharpest are taken."
    own_settings(bpy).picture = ""
    addon("ui.timer")._tick()
    assert previews.video.frames == 0


def write_film(bpy, path: Path, frames: int) -> None:
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x, scene.render.resolution_y, scene.frame_end = 64, 48, frames
    scene.collection.objects.link(camera := bpy.data.objects.new("", bpy.data.cameras.new("")))
    scene.camera = camera
    if hasattr(scene.render.image_settings, "media_type"):
        scene.render.image_settings.media_type = "VIDEO"
    scene.render.image_settings.file_format, scene.render.ffmpeg.format = "FFMPEG", "MPEG4"
    scene.render.filepath = str(path)
    bpy.ops.render.render(animation=True)


# ---- what fits


def test_what_fits_one_picture_and_several(addon):
    advice, methods = addon("ui.advice"), session(addon).methods
    found = {(fit.category, fit.whole): fit for fit in advice.fits(methods, several=False)}
    others = [(category, False) for category in ("Depth", "NeRF", "Diffusion", "Hybrid")]
    assert list(found) == [("Depth", True), *others]
    assert found["Depth", True].best.name == "included"
    assert found["Depth", True].better.name == "moge-2"
    assert found["NeRF", False].best is None and found["NeRF", False].better.name == "triposr"
    assert found["Diffusion", False].better.name == "triposg"
    [several] = advice.fits(methods, several=True)
    assert (several.category, several.best.name, several.better) == ("NeRF", "photos", None)
    [triposr] = [method for method in methods if method.name == "triposr"]
    assert advice.several_without(methods, triposr)


def test_better_is_what_is_known_to_be_better_than_the_best_that_is_here(addon):
    advice, methods = addon("ui.advice"), session(addon).methods

    def with_here(*names: str):
        def row(network):
            return dataclasses.replace(network, here=network.here or network.name in names)

        return tuple(dataclasses.replace(each, networks=tuple(map(row, each.networks))) for each in methods)

    def found(category: str, *names: str):
        fit = next(fit for fit in advice.fits(with_here(*names), several=False) if fit.category == category)
        return fit.best.name, fit.better and fit.better.name

    assert found("Depth", "depth-anything-v2-small") == ("depth-anything-v2-small", "moge-2")
    assert found("Depth", "moge-2", "depth-anything-v2-small") == ("moge-2", "moge-2-base")
    assert found("Depth", "moge-2-large") == ("moge-2-large", None)
    assert found("Diffusion", "shap-e") == ("included-generator", "triposg"), "nobody has compared the first two"
    assert found("Diffusion", "triposg") == ("triposg", None)


def test_a_network_is_taken_from_what_fits(bpy, addon, picture):
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.take_network(category="Diffusion", network="included-generator")
    assert chosen(bpy, addon).network.name == "included-generator"
