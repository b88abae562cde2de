# SPDX-License-Identifier: GPL-3.0-or-later
"""Which method and network are taken for some pictures, where the user named none, and which refuse them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_to_3d.worker.core.errors import Invalid, MethodUnavailable, Unable
from image_to_3d.worker.core.job import Job
from image_to_3d.worker.methods import all_methods, of_category, with_network
from image_to_3d.worker.pictures.gather import Inputs
from image_to_3d.worker.pictures.load import Picture
from image_to_3d.worker.pipeline.generate import looked_at
from image_to_3d.worker.pipeline.select import Subject, select
from image_to_3d.worker.pipeline.subject import Thing
from image_to_3d.worker.store.weights import WeightStore

LARGE = "moge-2"


@pytest.fixture
def nothing(tmp_path) -> WeightStore:
    return WeightStore(tmp_path / "nothing")


@pytest.fixture
def everything(tmp_path) -> WeightStore:
    return store_with(tmp_path, lambda name: True)


def store_with(folder: Path, wanted: Callable[[str], bool]) -> WeightStore:
    """A store in which all files of those networks are there, though empty."""
    store = WeightStore(folder / "weights")
    for network in (network for method in all_methods() for network in method.networks if network.published):
        for file in network.published.files if wanted(network.name) else ():
            path = store.root / network.name / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return store


def scene() -> Picture:
    rows, columns = np.mgrid[:120, :160]
    return Picture(np.stack([rows * 2, columns, (rows * columns) % 256], -1).astype(np.uint8), None, None, "", "scene")


def thing(alpha: bool = True) -> Picture:
    """A red disc, on nothing or on plain white."""
    rows, columns = np.indices((120, 160))
    disc = (rows - 60) ** 2 + (columns - 80) ** 2 < 45**2
    rgb = np.where(disc[..., None], [200, 40, 30], [255, 255, 255]).astype(np.uint8)
    return Picture(rgb, np.where(disc, 255, 0).astype(np.uint8) if alpha else None, None, "", "thing")


def inputs(*pictures: Picture, cameras: Path | None = None) -> Inputs:
    return Inputs(pictures, False, cameras, ())


def chosen(found: Inputs, weights: WeightStore, category=None, network=None, **options) -> str:
    return select(Subject.of(found), category, network, options, weights).network.name


@pytest.mark.parametrize("category", ["depth", "Depth", None])
def test_a_scene_goes_to_moge_as_soon_as_its_weights_are_there(nothing, everything, category):
    assert chosen(inputs(scene()), everything, category) == LARGE
    assert chosen(inputs(scene()), nothing, category) == "included"


@pytest.mark.parametrize("alpha", [True, False])
def test_a_cut_out_thing_goes_to_the_object_network_whatever_else_is_there(everything, alpha):
    found = inputs(thing(alpha))
    assert chosen(found, everything, "depth") == "included-object"
    assert chosen(found, everything, "depth", background="keep") == LARGE, "with an option that only reliefs have"
    assert chosen(found, everything, "depth", LARGE) == LARGE, "or where the user says so"


def test_large_networks_are_never_taken_by_themselves(tmp_path, monkeypatch):
    """Somebody has fetched them, and chooses where the time is worth it."""
    store = store_with(tmp_path, lambda name: name in ("moge-2-base", "moge-2-large"))
    assert with_network("moge-2-large")[1].is_here(store)
    assert chosen(inputs(scene()), store, "depth") == "included"
    for shipped in ("included", "included-object"):
        monkeypatch.setitem(vars(with_network(shipped)[1]), "file", tmp_path / "gone")
    assert chosen(inputs(scene()), store, "depth") == LARGE, "which is then asked for"


def test_what_ships_is_the_first_choice_of_generators_whatever_else_is_there(nothing, everything):
    for store in (nothing, everything):
        assert chosen(inputs(thing()), store, "diffusion") == "included-generator"


def test_a_network_that_is_not_here_is_still_chosen_where_there_is_no_other(nothing):
    assert chosen(inputs(thing()), nothing, "nerf") == "triposr"


@pytest.mark.parametrize("found", [inputs(scene(), thing()), inputs(cameras=Path("transforms.json"))])
def test_several_pictures_and_lists_of_cameras_go_to_who_learns_several(everything, found):
    assert chosen(found, everything) == chosen(found, everything, "nerf") == "photos"


@pytest.mark.parametrize("category", ["depth", "diffusion"])
def test_several_photos_are_refused_by_categories_for_one(everything, category):
    with pytest.raises(Unable, match="takes one photo, not 2: choose one"):
        chosen(inputs(scene(), thing()), everything, category)


@pytest.mark.parametrize("network", [n.name for m in all_methods() if m.pictures == "one" for n in m.networks])
def test_several_photos_are_refused_by_networks_for_one(everything, network):
    with pytest.raises(Unable, match="takes one photo, not 2: choose one"):
        chosen(inputs(scene(), thing()), everything, network=network)


def test_names_that_there_are_not_are_refused_and_so_is_a_network_of_another_category(everything):
    with pytest.raises(MethodUnavailable, match="gpt"):
        chosen(inputs(scene()), everything, network="gpt")
    with pytest.raises(Invalid, match="magic"):
        chosen(inputs(scene()), everything, "magic")
    with pytest.raises(Invalid, match="triposr is one of NeRF"):
        chosen(inputs(scene()), everything, "depth", "triposr")


def test_a_list_of_cameras_is_refused_by_its_own_name(everything, tmp_path):
    for wish in ({"category": "depth"}, {"network": "included"}):
        with pytest.raises(Unable, match="takes one photo, not a list of cameras: choose one"):
            chosen(inputs(cameras=tmp_path / "transforms.json"), everything, **wish)


def test_an_option_decides_by_its_name_so_that_a_wrong_value_of_it_is_what_is_told(nothing):
    for wish in ({"background": "keep"}, {"background": "kept"}, {"near": 2, "far": 1}):
        assert chosen(inputs(thing()), nothing, "depth", **wish) == "included"


def test_a_category_without_a_network_to_take_is_one_sentence(everything, monkeypatch):
    for networks in ((), (with_network("triposg")[1],)):
        networks = tuple(dataclasses.replace(network, automatic=False) for network in networks)
        methods = [dataclasses.replace(method, networks=networks) for method in of_category("diffusion")]
        monkeypatch.setattr("image_to_3d.worker.pipeline.select.of_category", lambda name, methods=methods: methods)
        with pytest.raises(Unable, match="Diffusion has no network that is taken by itself"):
            chosen(inputs(thing()), everything, "diffusion")


def test_a_method_without_networks_is_passed_over(everything, monkeypatch):
    first, *others = all_methods()
    methods = (dataclasses.replace(first, networks=()), *others)
    monkeypatch.setattr("image_to_3d.worker.pipeline.select.all_methods", lambda: methods)
    assert chosen(inputs(scene()), everything) not in [network.name for network in first.networks]


def test_several_pictures_are_told_from_one_without_reading_any(tmp_path, monkeypatch):
    """A video of an hour would take minutes."""
    for name in ("a.mp4", "b/1.jpg", "b/2.jpg", "c/transforms.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name, count, listed in (("a.mp4", 60, False), ("b", 2, False), ("c", 0, True), ("c/transforms.json", 0, True)):
        found = looked_at([tmp_path / name], Job(lambda *_: None))
        assert (found.count, found.listed, found.is_several) == (count, listed, True)
    found = looked_at([tmp_path / "b" / "1.jpg", tmp_path / "b" / "2.jpg"], Job(lambda *_: None))
    assert found.count == 2
    with pytest.raises(Unable, match=r"1\.jpg is empty"):
        looked_at([tmp_path / "b" / "1.jpg"], Job(lambda *_: None))


def found(clear: bool) -> Thing:
    rows, columns = np.mgrid[:60, :80]
    return Thing(((rows - 30) ** 2 + (columns - 40) ** 2 < 20**2).astype(np.float32), "test", clear, False)


def taken(picture: Picture, thing: Thing | None, weights: WeightStore, network=None, **options):
    return select(Subject.of(inputs(picture), lambda _: thing), "depth", network, options, weights)


def test_a_clear_thing_in_a_photo_is_taken_alone_and_an_unclear_one_only_where_it_is_asked_for(nothing):
    assert (choice := taken(scene(), found(True), nothing)).network.name == "included-object" and choice.thing
    assert taken(scene(), found(False), nothing).network.name == "included"
    assert taken(scene(), None, nothing).thing is None
    assert taken(scene(), found(False), nothing, subject="thing").thing
    for wish in ({"subject": "scene"}, {"background": "keep"}):
        choice = taken(scene(), found(True), nothing, **wish)
        assert (choice.network.name, choice.thing) == ("included", None)
    assert taken(thing(), found(True), nothing).thing is None, "it is cut out already"


def test_a_scene_and_its_thing_are_two_choices(nothing):
    choice = taken(scene(), found(False), nothing, subject="both")
    assert (choice.network.name, choice.thing) == ("included", None)
    assert choice.beside.network.name == "included-object" and choice.beside.thing


def test_a_subject_that_there_is_not_is_told_in_a_sentence(nothing):
    for wish in ("thing", "both"):
        with pytest.raises(Unable, match="no object was found in scene"):
            taken(scene(), None, nothing, subject=wish)
    with pytest.raises(Unable, match="no scene in it"):
        taken(thing(), None, nothing, subject="both")
    with pytest.raises(Unable, match="makes a thing alone"):
        taken(thing(), None, nothing, "included-object", subject="scene")


def test_nothing_is_looked_for_where_it_decides_nothing(nothing):
    def look(picture):
        pytest.fail("the photo was looked at")

    for category, wish in (("depth", {"subject": "scene"}), ("diffusion", {}), ("depth", {"near": 2.0})):
        select(Subject.of(inputs(scene()), look), category, None, wish, nothing)
    select(Subject.of(inputs(scene()), look), "depth", "included", {}, nothing)
    select(Subject.of(inputs(scene(), thing()), look), "nerf", None, {"subject": "scene"}, nothing)
