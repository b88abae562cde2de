# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from image_to_3d.tests.blender.conftest import png


def corners(mesh) -> set:
    return {tuple(round(value, 4) for value in mesh.matrix_world @ vertex.co) for vertex in mesh.data.vertices}


def test_a_mesh_becomes_one_object_upright_facing_the_front_selected_and_active(bpy, addon, quad):
    mesh = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    assert list(bpy.data.objects) == [mesh] and mesh.type == "MESH"
    assert mesh.users_collection == (bpy.context.collection,)
    assert mesh.parent is None and mesh.rotation_mode == "XYZ"
    assert tuple(mesh.scale) == (1, 1, 1) and tuple(mesh.rotation_euler) == (0, 0, 0)
    assert corners(mesh) == {(-1, -0.5, 0), (1, -0.5, 0), (1, -0.5, 1), (-1, -0.5, 1)}
    assert tuple(round(value, 4) for value in mesh.data.polygons[0].normal) == (0, -1, 0)
    assert bpy.context.view_layer.objects.active is mesh and bpy.context.selected_objects == [mesh]


def test_all_that_comes_with_it_is_named_after_the_picture_and_packed(bpy, addon, quad):
    mesh = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    [material] = mesh.data.materials
    image = next(node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE")
    assert {mesh.name, mesh.data.name, material.name} == {"A photo"}
    assert image.name.startswith("A photo-") and image.filepath == f"//{image.name}" and image.name.endswith(".png")
    assert image.packed_file and tuple(image.size) == (64, 32)


def test_the_mesh_goes_into_the_active_collection(bpy, addon, quad):
    other = bpy.data.collections.new("other")
    bpy.context.scene.collection.children.link(other)
    bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection.children["other"]
    assert addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[
        0
    ].users_collection == (other,)


def test_the_names_of_a_second_mesh_of_the_same_picture_do_not_clash(bpy, addon, quad):
    first = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    second = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    assert (first.name, second.name) == ("A photo", "A photo.001")
    images = [addon("ui.scene.material").texture(thing).name for thing in (first, second)]
    assert len(set(images)) == 2 and all(name.endswith(".png") for name in images), "exporters need the endings"
    assert bpy.context.selected_objects == [second]


def test_what_was_there_before_stays_as_it_was_but_for_its_selection(bpy, addon, quad):
    before = bpy.data.objects.new("A photo", None)
    bpy.context.scene.collection.objects.link(before)
    before.select_set(True)
    mesh = addon("ui.scene").add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    assert set(bpy.data.objects) == {before, mesh} and before.name == "A photo" and not before.select_get()


@pytest.mark.parametrize("meshes", [0, 3])
def test_a_file_with_more_than_two_meshes_is_refused_and_leaves_nothing(bpy, addon, make_glb, meshes):
    scene = addon("ui.scene")
    with pytest.raises(scene.CannotAdd, match=f"{meshes} meshes instead of 2 at most"):
        scene.add_meshes(bpy.context, addon("session.glb").Reading(make_glb(meshes)), "A photo")
    assert not bpy.data.objects


@pytest.mark.parametrize("content", [b"", b"not a GLB", b"glTF\2\0\0\0\xff\0\0\0"])
def test_a_file_that_is_no_glb_is_refused_in_one_sentence(bpy, addon, tmp_path, content):
    path = tmp_path / "broken.glb"
    path.write_bytes(content)
    scene = addon("ui.scene")
    with pytest.raises(scene.CannotAdd) as caught:
        scene.add_meshes(bpy.context, addon("session.glb").Reading(str(path)), "A photo")[0]
    assert len(str(caught.value).splitlines()) == 1
    assert not bpy.data.objects


@pytest.mark.parametrize("width, height", [(800, 400), (400, 800), (500, 500)])
def test_the_matching_camera_sees_the_mesh_where_the_photo_shows_it(bpy, addon, quad, width, height):
    from bpy_extras.object_utils import world_to_camera_view

    making = addon("session.jobs").making
    scene = addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    # 90 degrees at a distance of 1 show 2 across the longer side: half as much to each side of the axis
    info = making.CameraInfo((0, 0.5, 1.5), 90.0, width, height)
    bpy.context.scene.camera = scene.add_cameras(bpy.context, [info], mesh, False)[0]
    [camera] = scene.add_cameras(bpy.context, [info], mesh, True, rendered=True)
    bpy.context.view_layer.update()
    longer = max(width, height)
    expected = {
        (round(0.5 + x / 2 * longer / width, 4), round(0.5 + y / 2 * longer / height, 4))
        for x in (-1, 1)
        for y in (-0.5, 0.5)
    }
    seen = [world_to_camera_view(bpy.context.scene, camera, mesh.matrix_world @ v.co) for v in mesh.data.vertices]
    assert {(round(point.x, 4), round(point.y, 4)) for point in seen} == expected
    assert all(abs(point.z - 1) < 1e-5 for point in seen)
    assert bpy.context.scene.camera is camera
    render = bpy.context.scene.render
    assert (render.resolution_x, render.resolution_y) == (width, height)


def test_a_turned_camera_with_an_off_centre_picture_sees_what_it_should(bpy, addon, quad):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene, half = addon("ui.scene"), 0.5**0.5
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    info = addon("session.jobs").making.CameraInfo((2, 0, 0), 90.0, 400, 400, (half, 0, half, 0), (0.25, -0.125))
    [camera] = scene.add_cameras(bpy.context, [info], mesh, False, rendered=True)  # on +X of the file, looking along -X
    bpy.context.view_layer.update()
    seen = world_to_camera_view(bpy.context.scene, camera, Vector((0, 0, 0)))
    assert tuple(seen) == pytest.approx((0.25, 0.625, 2), abs=1e-5)
    right = world_to_camera_view(bpy.context.scene, camera, Vector((0, 1, 0)))  # -Z of the file
    assert right.x - seen.x == pytest.approx(0.25, abs=1e-5)


def test_the_photo_stands_behind_the_matching_camera_only_if_wanted(bpy, addon, quad):
    making, scene = addon("session.jobs").making, addon("ui.scene")
    info = making.CameraInfo((0, 0, 2), 50.0, 8, 4)
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    [with_photo] = scene.add_cameras(bpy.context, [info], mesh, True)
    [without] = scene.add_cameras(bpy.context, [info], mesh, False)
    assert with_photo.data.background_images[0].image.name.startswith("A photo-")
    assert with_photo.data.show_background_images
    assert not without.data.background_images


@pytest.mark.parametrize("away", [0.02, 5000])
def test_neither_a_tiny_nor_a_far_away_mesh_is_clipped_by_the_camera(bpy, addon, quad, away):
    making, scene = addon("session.jobs").making, addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    mesh.data.transform(mesh.matrix_world.Scale(away / 5000, 4))
    [camera] = scene.add_cameras(bpy.context, [making.CameraInfo((0, 0, away), 50.0, 8, 4)], mesh, False)
    assert camera.data.clip_start < 0.9 * away and camera.data.clip_end > away


# ---- the cameras of several photos


@pytest.fixture
def photos(tmp_path):
    """Files of a wide, a high and a square photo, in a folder that is removed like a job's."""
    folder = tmp_path / "job"
    folder.mkdir()
    paths = []
    for width, height in ((80, 40), (40, 80), (60, 60)):
        paths.append(folder / f"photo-{len(paths)}.png")
        paths[-1].write_bytes(png(width, height))
    return paths


@pytest.fixture
def infos(addon, photos):
    """Cameras of these photos one metre before the quad, with 90 degrees: 2 metres across the longer side."""
    info, sizes = addon("session.jobs").making.CameraInfo, ((80, 40), (40, 80), (60, 60))
    return [
        info((0, 0.5, 1.5), 90.0, *size, name=f"IMG {number}", photo=str(path))
        for number, (path, size) in enumerate(zip(photos, sizes))
    ]


def test_several_cameras_have_a_collection_of_their_own_and_the_first_is_the_scenes(bpy, addon, quad, infos):
    scene = addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    cameras = scene.add_cameras(bpy.context, infos, mesh, True)
    [own] = bpy.context.collection.children
    assert own.name == "A photo Cameras" and list(own.objects) == cameras
    assert (
        [camera.name for camera in cameras] == [camera.data.name for camera in cameras] == ["IMG 0", "IMG 1", "IMG 2"]
    )
    assert bpy.context.scene.camera is cameras[0], "as it had none"
    assert bpy.context.selected_objects == [mesh] and bpy.context.view_layer.objects.active is mesh


def test_the_scenes_camera_and_the_size_of_renders_change_only_if_that_is_wanted(bpy, addon, quad, infos):
    scene, render = addon("ui.scene"), bpy.context.scene.render
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    before = (render.resolution_x, render.resolution_y)
    own = bpy.context.scene.camera = bpy.data.objects.new("Own", bpy.data.cameras.new("Own"))
    scene.add_cameras(bpy.context, infos, mesh, True)
    assert bpy.context.scene.camera is own and (render.resolution_x, render.resolution_y) == before
    cameras = scene.add_cameras(bpy.context, infos, mesh, True, rendered=True)
    assert bpy.context.scene.camera is cameras[0] and (render.resolution_x, render.resolution_y) == (80, 40)


def test_each_camera_shows_its_own_photo_which_needs_its_file_no_longer(bpy, addon, quad, infos, photos):
    scene = addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    cameras = scene.add_cameras(bpy.context, infos, mesh, True)
    for path in photos:
        path.unlink()
    for camera, info in zip(cameras, infos):
        [background] = camera.data.background_images
        assert background.image.packed_file and tuple(background.image.size) == (info.width, info.height)
        assert background.image.name == info.name
        assert [round(255 * value) for value in background.image.pixels[:2]] == [
            0,
            255 * (info.height - 1) // info.height,
        ]


@pytest.mark.parametrize("rendered", [True, False])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_photos_of_other_shapes_than_the_render_still_lie_where_their_cameras_see_them(
    bpy, addon, quad, infos, number, rendered
):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene = addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    camera, info = scene.add_cameras(bpy.context, infos, mesh, True, rendered)[number], infos[number]
    bpy.context.view_layer.update()
    longer = max(info.width, info.height)
    corner = Vector((info.width / longer, -0.5, 0.5 + info.height / longer))  # of the photo, on the quad's plane
    seen = world_to_camera_view(bpy.context.scene, camera, corner)
    wide, high = 2 * abs(seen.x - 0.5), 2 * abs(seen.y - 0.5)  # in shares of the view
    render, method = bpy.context.scene.render, camera.data.background_images[0].frame_method
    shape = max(render.resolution_x / info.width, render.resolution_y / info.height)
    x, y = shape * info.width / render.resolution_x, shape * info.height / render.resolution_y
    scale = min(1 / x, 1 / y) if method == "FIT" else max(1 / x, 1 / y)
    assert (wide, high) == pytest.approx((x * scale, y * scale), abs=1e-5)


def test_without_files_several_cameras_show_no_photo(bpy, addon, quad, infos):
    import dataclasses

    scene = addon("ui.scene")
    mesh = scene.add_meshes(bpy.context, addon("session.glb").Reading(quad), "A photo")[0]
    bare = [dataclasses.replace(info, photo="") for info in infos]
    gone = [dataclasses.replace(info, photo="/no/such/file.jpg") for info in infos]
    for cameras in (bare, gone):
        for camera in scene.add_cameras(bpy.context, cameras, mesh, True):
            assert not camera.data.background_images
