# SPDX-License-Identifier: GPL-3.0-or-later
"""The enabled add-on: its life, its settings, and a job from the button to the object, with a fake worker."""

import math
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import PATIENCE, run_until


def own_settings(bpy):
    return bpy.context.window_manager.image_to_3d


def chosen(bpy, addon):
    return addon("ui.timer").chosen(bpy.context)


def test_enabling_disabling_and_enabling_again_says_nothing(bpy, capfd):
    import addon_utils

    for _ in range(3):
        assert addon_utils.enable("bl_ext.user_default.image_to_3d", default_set=True)
        assert hasattr(bpy.types, "IMAGE_TO_3D_PT_main") and hasattr(bpy.types.WindowManager, "image_to_3d")
        addon_utils.disable("bl_ext.user_default.image_to_3d", default_set=True)
        assert not hasattr(bpy.types, "IMAGE_TO_3D_PT_main") and not hasattr(bpy.types.WindowManager, "image_to_3d")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_disabling_leaves_no_timer_and_no_process(bpy, addon, fake_worker, picture):
    import addon_utils

    fake_worker({"generate": [{"progress": [0.5, "half"]}, {"wait": "deaf"}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.shown.fraction == 0.5)
    timer, client = addon("ui.timer"), addon("ui.timer").session().link.client
    addon_utils.disable("bl_ext.user_default.image_to_3d", default_set=True)
    assert not bpy.app.timers.is_registered(timer._tick)
    assert client._process.wait(PATIENCE) is not None


# ---- settings


def test_every_option_of_every_method_is_a_property_with_its_default_and_limits(bpy, addon):
    properties, own = addon("ui.properties"), own_settings(bpy)
    for method in addon("ui.timer").session().methods:
        group = properties.of_method(own, method)
        for option in method.options:
            set_to, preset = properties.value(own, method, option), properties.expected(own, method, option)
            assert set_to == preset, option.name
            drawn = group.bl_rna.properties[properties.property_name(option)]
            assert drawn.name == option.label
            if option.maximum is not None:
                highest = math.radians(option.maximum) if option.unit == "degrees" else option.maximum
                assert drawn.hard_max == pytest.approx(highest)
            assert drawn.description and not drawn.description.endswith(".")


def test_the_menus_show_the_categories_and_all_networks_of_one(bpy, addon):
    own, methods = own_settings(bpy), addon("ui.timer").session().methods
    categories = list(dict.fromkeys(method.category for method in methods))
    assert own.bl_rna.properties["category"].enum_items.keys() == categories
    for category in categories:
        own.category = category
        networks = [each.name for method in methods if method.category == category for each in method.networks]
        assert addon("ui.menus").networks(category) == ("AUTOMATIC", *networks)
        for name in networks:
            addon("ui.properties").of_the_category(own).network = name
            assert addon("ui.properties").of_the_category(own).network == name
        addon("ui.properties").of_the_category(own).network = "AUTOMATIC"


def test_a_preset_sets_its_options_back_and_forth_and_leaves_the_others(bpy, addon):
    own = own_settings(bpy)
    own.method_depth.option_solid = True
    before = chosen(bpy, addon).recipe
    assert before.presets["depth"] == "balanced" and before.options["depth"] == {"solid": True}
    own.category_Depth.preset = "high"
    assert own.method_depth.option_faces == 300_000
    own.category_Depth.preset = "balanced"
    assert chosen(bpy, addon).recipe == before


def test_only_what_differs_from_the_preset_is_sent_and_can_be_reset(bpy, addon):
    group = own_settings(bpy).method_depth
    group.option_faces = 1234
    group.option_fov = math.radians(63.5)
    assert chosen(bpy, addon).recipe.options["depth"] == {"faces": 1234, "fov": 63.5}
    bpy.ops.image_to_3d.reset_option(option="faces")
    assert chosen(bpy, addon).recipe.options["depth"] == {"fov": 63.5}


def test_an_option_is_one_setting_for_all_methods_of_a_category_but_for_what_presets_say(bpy, addon):
    own = own_settings(bpy)
    own.category_NeRF.preset = "high"
    before = own.method_triposr.option_faces, own.method_depth.option_faces
    own.method_photos.option_faces = 777
    assert own.method_nerfstudio.option_faces == own.method_triposr.option_faces == 777
    assert own.method_depth.option_faces == before[1]
    own.category = "NeRF"
    bpy.ops.image_to_3d.reset_option(option="faces")
    assert own.method_triposr.option_faces == before[0]


def test_the_automatic_network_is_left_to_the_worker_and_nobody_guesses_it(bpy, addon, picture):
    own_settings(bpy).picture = picture
    choice = chosen(bpy, addon)
    assert choice.recipe.question.network is None and choice.network is None and choice.method.name == "depth"
    own_settings(bpy).category_Depth.network = "included-object"
    choice = chosen(bpy, addon)
    assert choice.recipe.question.network == choice.network.name == "included-object"
    assert choice.method.name == "layers"


def test_what_the_worker_selects_is_shown_before_the_start_and_is_what_is_generated_with(
    bpy, addon, fake_worker, picture, quad
):
    fake_worker({"select": [{"result": {"method": "depth", "network": "big"}}], "generate": [{"copy": quad}]})
    own_settings(bpy).picture = picture
    run_until(addon, lambda session: session.selection.answer)
    assert not addon("ui.timer").session().moving
    choice = chosen(bpy, addon)
    assert choice.network.name == "big" and choice.network.licence == "Apache-2.0" and not choice.network.here
    assert "download" in addon("ui.operators").why_not(bpy.context)
    [select] = fake_worker.requests("select")
    question = {"pictures": [picture], "category": "Depth", "network": None, "options": {}}
    assert select["params"] == question
    own_settings(bpy).picture = str(Path(picture).with_name("other.png"))
    assert chosen(bpy, addon).network is None


def test_what_only_one_of_the_methods_has_does_not_decide_between_them(bpy, addon, picture):
    own = own_settings(bpy)
    own.picture = picture
    own.method_depth.option_solid = True
    own.method_depth.option_faces = 4321
    assert chosen(bpy, addon).recipe.question.options == {"faces": 4321}
    assert own.method_layers.option_faces == 4321


def test_nothing_of_ours_is_saved_into_the_file(bpy, addon, picture, tmp_path):
    own_settings(bpy).picture = picture
    own_settings(bpy).method_depth.option_faces = 4321
    path = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    content = path.read_bytes()
    assert b"image_to_3d" not in content and Path(picture).name.encode() not in content


def test_a_new_description_makes_new_properties(bpy, addon, fake_worker, picture):
    fake_worker({})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.link.client and not session.moving)
    own = own_settings(bpy)
    names = addon("ui.menus").networks("Depth")
    assert names == ("AUTOMATIC", "included", "big") and not hasattr(own.method_depth, "option_faces")
    assert own.bl_rna.properties["category"].enum_items.keys() == ["Depth"]


# ---- why a button is grey


def test_generate_waits_for_a_picture(bpy, addon, picture):
    assert not bpy.ops.image_to_3d.generate.poll()
    assert "picture" in addon("ui.operators").why_not(bpy.context)
    own_settings(bpy).picture = picture
    assert bpy.ops.image_to_3d.generate.poll()


def test_generate_waits_for_the_weights_of_the_chosen_network(bpy, addon, picture):
    own_settings(bpy).picture = picture
    own_settings(bpy).category_Depth.network = "depth-anything-v2-small"
    assert bpy.ops.image_to_3d.generate.poll()  # they may have come since a worker was last asked
    session = addon("ui.timer").session()
    session._describe(session.methods)
    assert not bpy.ops.image_to_3d.generate.poll()
    assert "download" in addon("ui.operators").why_not(bpy.context)


def test_without_online_access_nothing_can_be_downloaded_or_set_up(bpy, addon):
    assert not bpy.app.online_access  # as Blender is after its installation
    assert not bpy.ops.image_to_3d.download.poll()
    assert not bpy.ops.image_to_3d.set_up.poll()
    assert addon("ui.preferences").settings().online is False


def test_the_file_dialog_and_drops_know_all_that_the_worker_takes(bpy, addon):
    types = addon("ui.operators")
    shown = {f"*{ending}" for ending in bpy.path.extensions_image | bpy.path.extensions_movie}
    properties = bpy.ops.image_to_3d.choose_picture.get_rna_type().properties
    assert all(properties[f"filter_{each}"].default for each in ("image", "movie", "folder"))
    patterns = properties["filter_glob"].default
    assert len(patterns) < 256  # the browser's room for them
    assert {f"*{ending}" for ending in types.TAKEN + types.VIDEOS} <= shown | set(patterns.split(";"))
    assert {f"*{ending}" for ending in types.TAKEN} >= {"*.nef", "*.dng", "*.heic"}
    dropped = set(bpy.types.IMAGE_TO_3D_FH_picture.bl_file_extensions.split(";"))
    assert dropped == {*types.TAKEN, *types.VIDEOS}


def test_dropping_files_takes_the_pictures_among_them(bpy, addon, picture):
    folder, name = str(Path(picture).parent), Path(picture).name
    bpy.ops.image_to_3d.drop_picture(directory=folder, files=[{"name": "notes.txt"}, {"name": name}])
    assert own_settings(bpy).picture == picture and not own_settings(bpy).others
    bpy.ops.image_to_3d.drop_picture(directory=folder, files=[{"name": name}, {"name": "b.png"}, {"name": "c.png"}])
    assert addon("ui.properties").pictures(own_settings(bpy)) == (picture, f"{folder}/b.png", f"{folder}/c.png")
    bpy.ops.image_to_3d.drop_picture(directory=folder, files=[{"name": "a.MP4"}, {"name": "b.mov"}])
    assert addon("ui.properties").pictures(own_settings(bpy)) == (f"{folder}/a.MP4",)
    assert bpy.ops.image_to_3d.drop_picture(directory="/", files=[{"name": "notes.txt"}]) == {"CANCELLED"}
    bpy.ops.image_to_3d.clear_picture()
    assert addon("ui.properties").pictures(own_settings(bpy)) == ()


def test_several_pictures_take_a_method_for_several(bpy, addon, picture):
    own, properties = own_settings(bpy), addon("ui.properties")
    own.category = "NeRF"
    properties.choose(own, [picture])
    assert chosen(bpy, addon).method.pictures == "one"
    for several in ([picture, "/b.png"], ["/some/folder"], ["/a video.mp4"], ["/transforms.json"]):
        properties.choose(own, several)
        assert chosen(bpy, addon).method.pictures == "several"
    own.category = "Depth"
    assert chosen(bpy, addon).method.name == "depth"
    properties.choose(own, [])


@pytest.mark.parametrize(
    "category, network, pictures, words",
    [
        ("Depth", "AUTOMATIC", 2, "Depth takes one picture: choose the model NeRF"),
        ("Depth", "included", 2, "Depth takes one picture: choose the model NeRF"),
        ("NeRF", "triposr", 2, "TripoSR takes one picture: choose the network Automatic"),
        ("NeRF", "photos", 1, "needs more than one picture"),
        ("NeRF", "AUTOMATIC", 2, ""),
        ("NeRF", "photos", 2, ""),
        ("Depth", "AUTOMATIC", 1, ""),
    ],
)
def test_generate_says_where_the_model_does_not_take_so_many_pictures(
    bpy, addon, picture, category, network, pictures, words
):
    own = own_settings(bpy)
    own.category = category
    addon("ui.properties").of_the_category(own).network = network
    addon("ui.properties").choose(own, [picture] * pictures)
    why = addon("ui.operators").why_not(bpy.context)
    assert words in why and bool(words) == bool(why)
    assert bpy.ops.image_to_3d.generate.poll() is not bool(words)
    own.category_NeRF.network, own.category_Depth.network, own.category = "AUTOMATIC", "AUTOMATIC", "Depth"
    addon("ui.properties").choose(own, [])


# ---- jobs


def test_a_job_ends_with_the_object_and_one_undo_takes_it_away(bpy, addon, fake_worker, picture, quad):
    fake_worker({"generate": [{"progress": [0.5, "half"]}, {"copy": quad}]})
    bpy.ops.ed.undo_push(message="before")
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.results.last)
    [generate] = fake_worker.requests("generate")
    assert generate["params"]["network"] == "included" and len(fake_worker.requests("select")) == 1
    assert [thing.name for thing in bpy.data.objects] == ["picture"]
    assert bpy.context.view_layer.objects.active.name == "picture"
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    assert own_settings(bpy).picture == picture


@pytest.mark.parametrize("cameras", [1, 3])
def test_the_settings_of_the_scene_add_the_cameras_in_the_same_undo_step(
    bpy, addon, fake_worker, picture, quad, cameras
):
    result = {
        "glb": quad,
        "name": "a",
        "method": "depth",
        "network": "included",
        "vertices": 4,
        "faces": 2,
        "seconds": {},
        "from_cache": False,
        "cameras": [{"position": [0, 0.5, 1.5], "fov_degrees": 50.0, "width": 8, "height": 4}] * cameras,
    }
    fake_worker({"generate": [{"result": result}]})
    bpy.ops.ed.undo_push(message="before")
    own_settings(bpy).picture, own_settings(bpy).camera = picture, True
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.results.last)
    assert bpy.context.scene.camera.name == "a Camera"
    assert len(bpy.data.objects) == 1 + cameras
    bpy.ops.ed.undo()
    assert not bpy.data.objects and not bpy.data.collections


def test_a_file_that_cannot_be_imported_is_an_error_in_the_panel_and_the_next_job_works(
    bpy, addon, fake_worker, picture, quad
):
    fake_worker({"generate": [{"write": "not a GLB"}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.problem)
    assert "could not be brought into the scene" in addon("ui.timer").session().problem.message
    addon("ui.timer").session().rest()
    run_until(addon, lambda session: not session.moving)
    fake_worker({"generate": [{"copy": quad}]})
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.results.last)
    assert addon("ui.timer").session().problem is None


def test_a_mesh_waits_while_the_user_is_in_edit_mode(bpy, addon, fake_worker, picture, quad):
    timer = addon("ui.timer")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    fake_worker({"generate": [{"copy": quad}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.results.waiting)
    timer._tick()
    assert bpy.context.mode == "EDIT_MESH" and "edit mesh mode" in timer.why_not_added(bpy.context)
    bpy.ops.object.mode_set(mode="OBJECT")
    run_until(addon, lambda session: session.results.last)
    assert len(bpy.data.objects) == 2


def test_the_report_tells_versions_problem_and_log(bpy, addon, fake_worker, picture):
    fake_worker({"generate": [{"stderr": 20}, {"die": 3}]})
    own_settings(bpy).picture = picture
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.problem and not session.moving)
    text = addon("ui.report").text(addon("ui.timer").session(), bpy.app.version_string)
    for part in (bpy.app.version_string, "exit code 3", "WORKER_EXITED", "last words"):
        assert part in text


def test_settings_and_session_survive_the_opening_of_another_file(bpy, addon, fake_worker, picture, quad):
    fake_worker({"generate": [{"copy": quad}]})
    own_settings(bpy).picture = picture
    own_settings(bpy).category_Depth.preset = "fast"
    own_settings(bpy).method_depth.option_faces = 1234
    bpy.ops.wm.read_homefile(use_empty=True)
    assert own_settings(bpy).picture == picture
    recipe = chosen(bpy, addon).recipe
    assert (recipe.presets["depth"], recipe.options["depth"]) == ("fast", {"faces": 1234})
    bpy.ops.image_to_3d.generate()
    run_until(addon, lambda session: session.results.last)
