# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from image_to_3d.envs.pipconfig import PipConfig
from image_to_3d.envs.specs import TORCH
from image_to_3d.envs.torchbuild import choose

CPU = "https://download.pytorch.org/whl/cpu"
WHEEL = f"torch-{TORCH}+cpu-cp{{}}-cp{{}}-manylinux_2_28_x86_64.whl"


@pytest.fixture
def wheelhouse(tmp_path):
    def fill(*names: str) -> PipConfig:
        for name in names:
            (tmp_path / name).touch()
        return PipConfig(find_links=(str(tmp_path),))

    return fill


@pytest.mark.parametrize(
    ("platform", "nvidia", "requirement", "index"),
    [
        ("linux-x86_64", False, f"torch=={TORCH}+cpu", CPU),
        ("linux-arm64", False, f"torch=={TORCH}+cpu", CPU),
        ("linux-x86_64", True, f"torch=={TORCH}", None),
        ("windows-x86_64", False, f"torch=={TORCH}", None),
        ("windows-x86_64", True, f"torch=={TORCH}+cu130", "https://download.pytorch.org/whl/cu130"),
        ("macos-arm64", False, f"torch=={TORCH}", None),
    ],
)
def test_the_driver_decides(platform, nvidia, requirement, index):
    build = choose(PipConfig(), platform, nvidia)
    assert (build.requirement, build.index) == (requirement, index)


def test_a_wheel_of_the_users_own_is_taken_with_the_python_that_it_is_for(wheelhouse):
    build = choose(wheelhouse(WHEEL.format(312, 312)), "linux-x86_64", nvidia=False)
    assert (build.requirement, build.index, build.pythons) == (f"torch=={TORCH}+cpu", None, ("3.12",))


def test_of_two_wheels_the_one_for_the_preferred_python_is_taken(wheelhouse):
    build = choose(wheelhouse(WHEEL.format(312, 312), WHEEL.format(311, 311)), "linux-x86_64", nvidia=False)
    assert build.pythons == ("3.11",)


@pytest.mark.parametrize(
    "name",
    [
        WHEEL.format(310, 310),
        WHEEL.format(311, 311).replace(TORCH, "2.12.0"),
        WHEEL.format(311, 311).replace("x86_64", "aarch64"),
        f"torch-{TORCH}-cp311-cp311-win_amd64.whl",
        f"torch-{TORCH}-cp311-cp311-win_amd64.whl.part",
    ],
)
def test_a_wheel_that_does_not_fit_is_left_alone(wheelhouse, name):
    assert choose(wheelhouse(name), "linux-x86_64", nvidia=False).index == CPU
