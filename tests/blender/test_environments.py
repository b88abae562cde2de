# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments as the enabled add-on shows and changes them, with a fake of `python -m envs`."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
from image_to_3d.tests.blender.conftest import PATIENCE, run_until

FAKE = Path(__file__).resolve().parent.parent / "addon" / "fake_envs.py"
ENTRY = {
    "name": "core",
    "label": "Core",
    "state": "absent",
    "reason": "core has not been set up",
    "need": {"download": 312_000_000, "disk": 1_140_000_000, "packages": 40},
    "licence": "free software",
}


def found(state: str = "absent", **more) -> dict:
    """What a check says."""
    torch = {"reason": "no driver is installed", "warning": None}
    entries = [{**ENTRY, "state": state}]
    return {"root": "r", "environments": entries, "torch": torch, "free_bytes": 5e10, "text": "## a check\n"} | more


class Layout:
    """Stands for a UILayout: keeps the texts that were drawn, the buttons with their texts, and the names of settings.

    As in Blender, a panel has one `operator_context` for all of its parts.
    """

    def __init__(self, whole: "Layout | None" = None) -> None:
        parts = (whole.texts, whole.buttons, whole.pressed, whole.settings) if whole else ([], {}, [], [])
        self.texts, self.buttons, self.pressed, self.settings = parts
        self.root = whole.root if whole else self
        if not whole:
            self.context = "INVOKE_DEFAULT"

    @property
    def operator_context(self) -> str:
        return self.root.context

    @operator_context.setter
    def operator_context(self, value: str) -> None:
        self.root.context = value

    def label(self, text: str, icon: str = "NONE") -> None:
        self.texts.append(text)

    def operator(self, name: str, text: str | None = None, **_) -> "Layout":
        self.buttons[name] = text
        self.pressed.append(Layout())
        return self.pressed[-1]

    @property
    def environments(self) -> list[str]:
        """Those that the buttons are about."""
        return [button.environment for button in self.pressed if hasattr(button, "environment")]

    def prop(self, own: object, name: str, **_) -> None:
        getattr(own, name)
        self.settings.append(name)

    def progress(self, text: str, **_) -> None:
        self.texts.append(text)

    def separator(self, **_) -> None:
        pass

    def box(self, **_) -> "Layout":
        return Layout(self)

    column = row = split = box

    @property
    def said(self) -> str:
        return " ".join(self.texts)


@dataclasses.dataclass
class Region:
    width: int = 220


@pytest.fixture
def bare(addon, monkeypatch, tmp_path):
    """The add-on without any environment; gives its modules, and `follow` to tell the fake what to do."""
    monkeypatch.delenv("IMAGE_TO_3D_PYTHON")
    script = tmp_path / "envs.json"

    def follow(steps: dict) -> None:
        script.write_text(json.dumps(steps))

    follow({"check": [{"say": found()}]})
    monkeypatch.setattr(addon("session.tasks"), "ENVS", (sys.executable, str(FAKE), str(script)))
    addon.follow = follow
    timer(addon).session().look()
    return addon


def timer(addon):
    return addon("ui.timer")


def check(addon) -> None:
    timer(addon).session().environments.want(addon("session.tasks").Check(("core",), deep=True))
    run_until(addon, lambda session: not session.environments.checking)


def drawn(bpy, addon, width: int = 220) -> Layout:
    """The box of the panel."""
    layout, session = Layout(), timer(addon).session()

    @dataclasses.dataclass
    class Context:
        preferences = bpy.context.preferences
        window_manager = bpy.context.window_manager
        region = Region(width)

    if addon("ui.environment_panels").wants_box(session):
        addon("ui.environment_panels").draw_box(layout, Context(), session)
    assert layout.operator_context == "INVOKE_DEFAULT"
    section = Layout()
    addon("ui.environment_panels").draw_section(section, Context(), session)
    return layout


@pytest.fixture
def wheelhouse(bare, tmp_path):
    """A folder of packages, so that something may be set up although Blender is offline."""
    bare("ui.preferences").preferences().wheelhouse = str(tmp_path)
    yield tmp_path
    bare("ui.preferences").preferences().wheelhouse = ""


def test_the_box_says_what_is_missing_and_what_it_takes_and_offline_does_nothing(bpy, bare):
    check(bare)
    box = drawn(bpy, bare)
    assert "set up once" in box.said and "312 MB to download" in box.said and "1.14 GB on disk" in box.said
    assert "Free software" in box.said and "no graphics card" in box.said
    assert "Online access is off" in box.said
    assert box.buttons == {"image_to_3d.set_up": "Set Up", "screen.userpref_show": "Allow Online Access\u2026"}
    assert not bpy.ops.image_to_3d.set_up.poll()
    assert "online access is off" in bare("ui.operators").why_not(bpy.context)


def test_a_wheelhouse_allows_to_set_up_offline_and_generate_offers_it(bpy, bare, wheelhouse):
    assert bpy.ops.image_to_3d.set_up.poll() and bpy.ops.image_to_3d.generate.poll()
    assert bare("ui.preferences").settings().wheelhouse == wheelhouse
    assert "Online access" not in drawn(bpy, bare).said


def test_setting_up_goes_from_the_button_to_the_end_and_a_failure_offers_to_try_again(bpy, bare, wheelhouse):
    say = {"stage": "packages", "progress": 0.5, "message": "half"}
    failure = {"state": "absent", "error": "the disk is full"}
    bare.follow({"create": [{"say": say}, {"say": failure}, {"exit": 1}], "check": [{"say": found()}]})
    bpy.ops.image_to_3d.set_up()
    assert timer(bare).session().moving and not bpy.ops.image_to_3d.set_up.poll()
    run_until(bare, lambda session: session.environments.problem and not session.environments.checking)
    box = drawn(bpy, bare)
    assert "Setting up did not work" in box.said and "The disk is full." in box.said
    assert box.buttons["image_to_3d.set_up"] == "Try Again" and "image_to_3d.copy_report" in box.buttons
    bpy.ops.image_to_3d.dismiss()
    assert "did not work" not in drawn(bpy, bare).said


def test_the_networks_that_come_along_are_told_with_a_tick_and_wait_for_the_environment(
    bpy, bare, wheelhouse, monkeypatch
):
    own, session = bpy.context.window_manager.image_to_3d, timer(bare).session()
    assert "two networks" not in drawn(bpy, bare).said, "online access is off"
    monkeypatch.setattr(bare("ui.preferences"), "offline", lambda: "")
    said = drawn(bpy, bare).said
    assert "And two networks: MoGe-2 (141 MB, MIT) and U2-Net small (4.6 MB, Apache-2.0)" in said
    bare.follow({"create": [{"wait": "ever"}], "check": [{"say": found()}]})
    for along, methods in ((True, ["networks/download"]), (False, [])):
        own.along = along
        bpy.ops.image_to_3d.set_up()
        assert [job.method for job in session.queue] == methods
        bpy.ops.image_to_3d.cancel()
        run_until(bare, lambda session: not session.moving)
        assert not session.queue
    own.along = True


def test_what_would_stop_it_and_an_old_card_are_said_before_anything_is_downloaded(bpy, bare):
    torch = {"reason": "the driver is too old", "warning": "update the driver to 525"}
    findings = [
        {"name": "space", "ok": False, "text": "core needs 2 GB, and 1 GB are free"},
        {"name": "folder", "ok": True, "text": "the folder can be written"},
    ]
    hardware = {"gpus": [{"name": "Card 3000"}]}
    bare.follow({"check": [{"say": found(torch=torch, hardware=hardware, findings=findings)}]})
    check(bare)
    box = drawn(bpy, bare)
    assert "1 GB are free." in box.said and "Update the driver to 525." in box.said and "Card 3000" in box.said
    assert "can be written" not in box.said


@pytest.mark.parametrize("state, verb", [("incomplete", "Set Up"), ("outdated", "Update"), ("broken", "Repair")])
def test_each_state_has_its_verb(bpy, bare, monkeypatch, state, verb):
    standing = bare("session.launch").Standing(state)
    interpreter = bare("session.launch").Interpreter(None, "a file of numpy is gone", standing)
    timer(bare).session().environments.interpreter = interpreter
    bare.follow({"check": [{"say": found(state)}]})
    assert drawn(bpy, bare).buttons["image_to_3d.set_up"] == verb


def test_a_wrong_python_of_the_users_own_points_to_the_preferences(bpy, bare):
    bare("ui.preferences").preferences().python = "/nowhere/python"
    assert drawn(bpy, bare).buttons == {"image_to_3d.preferences": "Preferences"}
    assert "/nowhere/python" in bare("ui.operators").why_not(bpy.context)
    bare("ui.preferences").preferences().python = ""


def test_the_chosen_model_decides_which_environment_is_looked_at(bpy, bare):
    session = timer(bare).session()
    depth = session.methods[0]
    network = dataclasses.replace(depth.networks[0], name="another")
    other = dataclasses.replace(depth, name="other", category="Other", networks=(network,), environment="nerf")
    session._describe((depth, other))
    timer(bare)._tick()
    timer(bare)._tick()
    assert session.environments.names == ("core", "nerf") and session.environments.needed == "core"
    bpy.context.window_manager.image_to_3d.category = "Other"
    timer(bare)._tick()
    assert session.environments.needed == "nerf" and "nerf" in session.interpreter.reason


def test_a_network_with_packages_of_its_own_offers_to_set_them_up_and_others_go_on(bpy, bare, wheelhouse):
    own, session = bpy.context.window_manager.image_to_3d, timer(bare).session()
    own.category, own.category_NeRF.network = "NeRF", "nerfacto"
    timer(bare)._tick()
    entries = [{**ENTRY, "name": "nerf", "label": "NeRF", "need": {"download": 5_000_000_000, "disk": 1}}]
    bare.follow({"check": [{"say": found(environments=entries)}], "create": [{"wait": "ever"}]})
    session.environments.want(bare("session.tasks").Check(("nerf",), deep=True))
    run_until(bare, lambda session: session.environments.entry("nerf"))
    box = drawn(bpy, bare)
    assert "5 GB to download" in box.said and box.buttons == {"image_to_3d.set_up": "Set Up"}
    assert box.environments == ["nerf"] and bpy.ops.image_to_3d.generate.poll()
    bpy.ops.image_to_3d.set_up(environment="nerf")
    assert session.environments.order == bare("session.tasks").Order("create", "nerf")
    bpy.ops.image_to_3d.cancel()
    run_until(bare, lambda session: not session.moving)
    own.category, own.category_NeRF.network = "Depth", "AUTOMATIC"
    timer(bare)._tick()
    assert session.environments.needed == "core"


def test_what_was_moved_is_where_the_preferences_point_to(bpy, bare, tmp_path):
    new = tmp_path / "new"
    bare.follow({"move": [{"say": {"state": "ready", "python": "x", "root": str(new)}}], "check": [{"say": found()}]})
    bpy.ops.image_to_3d.move(directory=str(new))
    run_until(bare, lambda session: session.environments.done)
    timer(bare)._tick()
    assert bare("ui.preferences").root() == new
    bare("ui.preferences").preferences().folder = ""


def test_removing_and_checking_are_orders_to_envs(bpy, bare, tmp_path):
    bare.follow({"remove": [{"say": {"state": "absent", "python": None}}], "check": [{"say": found()}]})
    bpy.ops.image_to_3d.remove_environment(environment="core")
    run_until(bare, lambda session: session.environments.done and not session.environments.checking)
    bpy.ops.image_to_3d.check(environment="core")
    assert not bpy.ops.image_to_3d.check.poll() and bpy.ops.image_to_3d.stop_check.poll()
    run_until(bare, lambda session: not session.environments.checking)
    calls = [json.loads(line) for line in (tmp_path / "envs.json.calls").read_text().splitlines()]
    assert [call["command"] for call in calls] == ["remove", "check", "check"]
    assert ["--files" in call["arguments"] for call in calls] == [False, True, False]


def test_the_report_is_copied_when_the_check_that_it_waits_for_is_in(bpy, bare):
    bpy.ops.image_to_3d.copy_report()
    assert not bpy.ops.image_to_3d.copy_report.poll()
    copied = bare("session.environments").Report.COPIED
    run_until(bare, lambda session: session.environments.report is copied)
    text = bare("ui.report").text(timer(bare).session(), bpy.app.version_string)
    assert "## a check" in text and bpy.app.version_string in text


def test_disabling_ends_an_order_and_a_check(bpy, bare, wheelhouse):
    import addon_utils

    bare.follow({"create": [{"wait": "deaf"}]})
    bpy.ops.image_to_3d.set_up()
    run_until(bare, lambda session: session.shown.stage == "deaf")
    child = timer(bare).session().environments._carrying_out
    addon_utils.disable("bl_ext.user_default.image_to_3d", default_set=True)
    assert child._process.wait(PATIENCE) is not None
    addon_utils.enable("bl_ext.user_default.image_to_3d", default_set=True)
