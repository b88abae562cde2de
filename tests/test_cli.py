# SPDX-License-Identifier: GPL-3.0-or-later
"""The terminal front as a user meets it: a process, its output, its exit code, its files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from image_to_3d.worker.app import App
from image_to_3d.worker.cli import commands, main, progress
from image_to_3d.worker.cli.commands import FAILED
from image_to_3d.worker.core.errors import Unsure
from image_to_3d.worker.methods import all_methods
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 100.0


OTHER = Path(__file__).resolve().parent.parent / "docs" / "examples" / "room.jpg"


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    rows, columns = np.mgrid[:150, :200]
    rgb = np.stack([rows, columns, 255 - rows], -1).astype(np.uint8)
    rgb[60:120, 80:130] = (200, 60, 30)
    path = tmp_path_factory.mktemp("photo") / "Größe 1.png"
    Image.fromarray(rgb).save(path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def run(home):
    def start(*arguments: object) -> subprocess.CompletedProcess:
        environment = os.environ | {"IMAGE_TO_3D_HOME": str(home), "COLUMNS": "200"}
        command = [sys.executable, "-m", "worker", *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT)

    return start


@pytest.fixture(scope="module")
def made(run, photo, tmp_path_factory) -> tuple[Path, dict]:
    """The GLB of the photo at Fast, and what was said of it."""
    out = tmp_path_factory.mktemp("made") / "out.glb"
    done = run("generate", photo, "-o", out, "--preset", "fast", "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_generate_makes_a_textured_upright_glb_named_after_the_photo(made):
    path, result = made
    assert result["name"] == "Größe 1" and not result["from_cache"] and result["network"] == "included"
    scene = trimesh.load(path, force="scene")
    (mesh,) = scene.geometry.values()
    assert scene.graph.nodes_geometry == ["Größe 1"]
    assert len(mesh.faces) == result["faces"] <= 30_000
    assert mesh.visual.material.baseColorTexture.size in ((200, 150), (200, 150 + 75))  # and what is behind, smaller
    low, high = mesh.bounds
    assert max(high - low) == pytest.approx(2.0, abs=1e-3) and low[1] == pytest.approx(0.0, abs=1e-4)
    assert mesh.area_faces @ mesh.face_normals[:, 2] > 0  # faces +Z


def test_a_second_run_comes_from_the_cache(run, photo, made, tmp_path):
    path, result = made
    again = json.loads(run("generate", photo, "-o", tmp_path / "2.glb", "--preset", "fast", "--json").stdout)
    assert again["from_cache"] and (tmp_path / "2.glb").read_bytes() == path.read_bytes()
    unlike = {"seconds": 0, "from_cache": 0, "glb": ""}
    assert again | unlike == result | unlike


def test_a_cache_that_cannot_be_is_told_before_any_work(run, photo, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        told = run("generate", photo, "-o", tmp_path / "o.glb", "--cache", folder)
        assert told.returncode == 1 and f"{tmp_path / 'file'} is a file: name a folder" in told.stderr


def test_a_preset_that_does_not_exist_is_told_before_anything_is_fetched(run, photo, tmp_path):
    for command in (("generate", photo, "-o", tmp_path / "o.glb"), ("batch", tmp_path, "-o", tmp_path / "out")):
        told = run(*command, "--preset", "nonsense")
        assert told.returncode == 1 and "choose one of fast, balanced, high" in told.stderr
        assert "--included does without" not in told.stderr and "connecting" not in told.stderr


def test_nothing_is_taken_from_the_cache_or_kept_there_where_that_is_asked_for(run, photo, made, tmp_path):
    path, _ = made
    for number in range(2):
        out = tmp_path / f"{number}.glb"
        anew = json.loads(run("generate", photo, "-o", out, "--preset", "fast", "--no-cache", "--json").stdout)
        assert not anew["from_cache"] and "network" in anew["seconds"] and out.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["depth", "Depth", "included", "INCLUDED"])
def test_a_model_or_a_network_is_found_by_its_name(run, photo, made, tmp_path, name):
    path, result = made
    done = run("generate", photo, "-o", tmp_path / "out.glb", "--preset", "fast", "--model", name, "--json")
    assert json.loads(done.stdout)["network"] == result["network"]
    assert (tmp_path / "out.glb").read_bytes() == path.read_bytes()


def test_other_mesh_options_rerun_no_network(run, photo, made, tmp_path):
    options = ("--preset", "fast", "--set", "faces=500", "--set", "solid=true", "--json")
    fewer = json.loads(run("generate", photo, "-o", tmp_path / "s.glb", *options).stdout)
    assert "network" in made[1]["seconds"] and "network" not in fewer["seconds"]
    mesh = trimesh.load(tmp_path / "s.glb", force="mesh", process=False)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and mesh.volume > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("{photo}", "-o", "{folder}/no/out.glb"), "no folder"),
        (("{photo}", "-o", "{folder}/out.obj"), ".glb"),
        (("{folder}/missing.png", "-o", "{folder}/out.glb"), "missing.png"),
        (("{photo}", "-o", "{folder}/out.glb", "--preset", "ultra"), "balanced"),
        (("{photo}", "-o", "{folder}/out.glb", "--model", "depth-anything-v2-small"), "99 MB"),
        (("{photo}", "-o", "{folder}/out.glb", "--model", "shap-e"), "(python3 -m envs run download shap-e)"),
        (("{other}", "-o", "{folder}/out.glb", "--model", "diffusion"), "run download included-generator)"),
        (("{photo}", "-o", "{folder}/out.glb", "--backend", "depth", "--model", "diffusion"), "name one of them"),
        (("{photo}", "-o", "{folder}/out.glb", "--model", "magic"), "included"),
        (("{photo}", "-o", "{folder}/out.glb", "--set", "faces=1"), "faces"),
        (("{photo}", "-o", "{folder}/out.glb", "--set", "near=5", "--set", "far=4"), "nearest"),
        (("{photo}", "{other}", "-o", "{folder}/out.glb"), "2 pictures are too few"),
        (("{photo}", "-o", "{folder}/out.glb", "--device", "abacus"), "abacus"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(run, photo, tmp_path, arguments, message):
    folder = tmp_path / "work"
    folder.mkdir()
    done = run("generate", *(argument.format(photo=photo, other=OTHER, folder=folder) for argument in arguments))
    assert done.returncode == 1
    stages = [line for line in done.stderr.splitlines() if line.split()[0].endswith("%")]
    assert done.stderr.splitlines()[len(stages) :] == [done.stderr.splitlines()[-1]]  # one line after the progress
    assert message in done.stderr.splitlines()[-1]
    assert list(folder.iterdir()) == []


def test_failures_are_json_too_where_that_is_asked_for(run, tmp_path):
    done = run("generate", tmp_path / "missing.png", "-o", tmp_path / "out.glb", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == -32803


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("batch {folder} -o {folder}/out --jobs 0", "'0' is not a number from 1 on"),
        ("batch {folder} -o {folder}/out --jobs -3", "'-3' is not a number from 1 on"),
        ("batch {folder} -o {folder}/out --jobs 2 --cluster auto", "leave it out with --on and --cluster"),
        ("batch {folder} -o {folder}/out --on host --cluster auto", "choose one"),
        ("generate {folder}/a.png -o {folder}/out.glb --on  ", "argument --on: nothing was named"),
        ("generate {folder}/a.png -o ", "argument -o/--output: nothing was named"),
        ("batch  -o {folder}/out", "argument SOURCE: nothing was named"),
        ("batch {folder} -o {folder}/out --cluster ", "argument --cluster: nothing was named"),
        ("generate {folder}/a.png -o {folder}/out.glb --set-up", "name that by --on"),
        ("generate {folder}/a.png -o {folder}/x.spz --frames all", "name a folder"),
        ("generate {folder}/a.png -o {folder}/x --frames all --maps {folder}/y", "leave --maps and --views out"),
        ("refine {folder}/a.glb {folder}/a.png -o {folder}/b.glb --set seed=3", "name one by --with"),
        ("refine {folder}/a.glb {folder}/a.png -o {folder}/b.glb --preset high", "name one by --with"),
    ],
)
def test_what_would_be_ignored_is_refused_before_any_work(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.setattr(commands, "_started", None)  # nothing may be asked of a worker
    with pytest.raises(SystemExit) as ended:
        main(arguments.format(folder=tmp_path).split(" "))
    assert ended.value.code == 2 and message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_prints_is_not_in_the_json(monkeypatch, capsys, photo, tmp_path):
    def noisy(*asked):
        sys.stdout.write("a node was lost\n")
        raise Unsure("enough", "allow_partial")

    monkeypatch.setattr(App, "generate", noisy)
    assert main(["generate", str(photo), "-o", str(tmp_path / "o.glb"), "--json"]) == FAILED
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["message"] == "enough" and "a node was lost" in told.err


def test_what_takes_long_says_so_before_it_was_done_here(monkeypatch, capsys, photo, tmp_path):
    def unable(*asked):
        raise Unsure("enough", "allow_partial")

    monkeypatch.setattr(App, "generate", unable)
    monkeypatch.setattr(App, "improve", unable)
    made = ["-o", str(tmp_path / "o.glb"), "--cache", str(tmp_path / "cache")]
    for command in (["improve", photo, photo], ["generate", photo, "--model", "views-included", "--included"]):
        assert main([*map(str, command), *made]) == FAILED
        assert "s of one core and " in capsys.readouterr().err
    assert main(["generate", str(photo), "--model", "included", *made]) == FAILED
    assert "core" not in capsys.readouterr().err


def test_a_folder_is_made_at_once_for_rounds_and_a_file_is_told_from_it(monkeypatch, capsys, photo, tmp_path):
    asked = []

    def kept(app, params, job):
        asked.append(params)
        raise Unsure("enough", "allow_partial")

    monkeypatch.setattr(App, "generate", kept)
    monkeypatch.setattr(App, "improve", kept)
    generate = ["generate", str(photo), "-o", str(tmp_path / "out.glb"), "--model", "included", "--maps"]
    improve = ["improve", str(photo), str(photo), "-o", str(tmp_path / "out.glb"), "--each"]
    for number, command in enumerate((generate, improve)):
        folder = tmp_path / "new" / str(number)
        assert main([*command, str(folder)]) == 1 and folder.is_dir() == (command is improve)
        assert main([*command, str(photo)]) == 1
        assert "is a file: name a folder" in capsys.readouterr().err.splitlines()[-1]
    assert [params.maps if number == 0 else params.previews for number, params in enumerate(asked)] == [
        str(tmp_path / "new" / "0"),
        str(tmp_path / "new" / "1"),
    ]


def test_wrong_usage_has_an_exit_code_of_its_own(run):
    assert run("generate").returncode == 2
    assert run("conjure").returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_cleanly_and_leaves_nothing(photo, tmp_path):
    environment = os.environ | {"IMAGE_TO_3D_HOME": str(tmp_path / "home")}
    out = tmp_path / "work" / "out.glb"
    out.parent.mkdir()
    command = [sys.executable, "-m", "worker", "generate", photo, "-o", out, "--preset", "high", "--set", "grid=2048"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert "reading" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130 and "Traceback" not in errors
    assert list(out.parent.iterdir()) == []


def test_native_libraries_write_nothing_onto_the_terminal(run, photo, tmp_path):
    """libtiff writes a line of its own for each strip that is damaged."""
    with Image.open(photo) as image:
        image.save(tmp_path / "a.tif", compression="tiff_adobe_deflate")
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:8] + bytes(len(whole) // 2) + whole[8 + len(whole) // 2 :])
    done = run("generate", tmp_path / "a.tif", "-o", tmp_path / "out.glb")
    said = [line for line in done.stderr.splitlines() if "%" not in line]
    assert done.returncode == 1 and len(said) == 1 and "a.tif" in said[0]


def test_several_photos_need_no_model_and_an_unknown_one_is_told_with_those_there_are(run, photo, tmp_path):
    done = run("generate", photo, OTHER, "-o", tmp_path / "out.glb")
    assert done.returncode == 1 and "2 pictures are too few" in done.stderr and "takes one photo" not in done.stderr
    done = run("generate", photo, "-o", tmp_path / "out.glb", "--model", "foo")
    told = "there is no model 'foo': choose depth, nerf, diffusion, hybrid, or one of their networks: "
    assert done.returncode == 1 and told in done.stderr and "triposr" in done.stderr


def test_models_tells_licence_size_and_what_is_here(run):
    done = run("models", "--json")
    methods = json.loads(done.stdout)["methods"]
    assert list(dict.fromkeys(method["category"] for method in methods)) == ["Depth", "NeRF", "Diffusion", "Hybrid"]
    networks = {network["name"]: network for method in methods for network in method["networks"]}
    assert networks["included"]["here"] and not networks["depth-anything-v2-small"]["here"]
    assert networks["depth-anything-v2-small"]["licence"] == "Apache-2.0" and networks["triposr"]["licence"] == "MIT"
    shown = run("models").stdout
    assert all(name in shown for name in networks) and "99 MB" in shown


def test_names_and_licences_are_whole_in_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    rows = [network for method in all_methods() for network in method.networks]
    assert all(row.name in shown.split() and row.licence in " ".join(shown.split()) for row in rows)
    assert max(map(len, shown.splitlines())) <= 80


def test_what_is_unsure_says_what_to_type_and_goes_on_where_that_is_typed(monkeypatch, capsys, photo, tmp_path):
    asked = []

    def generate(app, params, job):
        asked.append(params.options)
        raise Unsure("only 3 of 12 pictures have found their place", "allow_partial")

    monkeypatch.setattr(App, "generate", generate)
    command = ["generate", str(photo), "-o", str(tmp_path / "out.glb"), "--model", "nerf"]
    assert main(command) == 1 and main([*command, "--allow-partial", "--set", "texture=256"]) == 1
    assert asked == [{}, {"texture": 256, "allow_partial": True}]
    assert capsys.readouterr().err.splitlines()[0].endswith("have found their place (--allow-partial)")


def test_a_log_tells_how_far_a_stage_is_that_takes_long(monkeypatch, capsys):
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    show = progress.stage_lines()
    for number in range(5):
        show(0.1 * number, "comparing", f"pair {number} of 5", None)
    assert capsys.readouterr().err.splitlines() == ["  0% comparing", " 30% comparing, pair 3 of 5"]


def test_doctor_names_what_works_and_what_is_missing(run, tmp_path):
    done = run("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0 and checks["torch"]["ok"] and checks["included"]["ok"]
    assert not checks["depth-anything-v2-small"]["ok"] and checks["depth-anything-v2-small"]["advice"]
    shown = run("doctor", "--weights", tmp_path / "elsewhere").stdout
    assert f"ok    folder of weights: {tmp_path / 'elsewhere'}" in shown
    assert "nerfacto: in the environment nerf" in shown


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(run, photo, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    done = run("generate", photo, "-o", tmp_path / "locked" / "out.glb")
    assert done.returncode == 1 and "cannot be written" in done.stderr
