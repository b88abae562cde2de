# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
from image_to_3d.envs.errors import EnvironmentProblem
from image_to_3d.envs.machine.builds import CUDA_BUILDS
from image_to_3d.envs.machine.hardware import Gpu, Hardware
from image_to_3d.envs.machine.torchbuild import choose
from image_to_3d.envs.network.pipconfig import PipConfig
from image_to_3d.envs.specs import TORCH

INDEX = "https://download.pytorch.org/whl"
WHEEL = f"torch-{TORCH}+cpu-cp{{}}-cp{{}}-manylinux_2_28_x86_64.whl"
LINUX, ARM, WINDOWS, MAC = "linux-x86_64", "linux-arm64", "windows-x86_64", "macos-arm64"


def nvidia(name: str, capability: tuple[int, int] | None) -> Gpu:
    return Gpu(name, "nvidia", 8 * 2**30, capability)


GTX_780 = nvidia("GeForce GTX 780", (3, 5))
GTX_960 = nvidia("GeForce GTX 960", (5, 2))
GTX_1080 = nvidia("GeForce GTX 1080", (6, 1))
TITAN_V = nvidia("TITAN V", (7, 0))
T4G = nvidia("T4G", (7, 5))
RTX_2060 = nvidia("GeForce RTX 2060", (7, 5))
RTX_3060 = nvidia("GeForce RTX 3060", (8, 6))
ORIN = nvidia("Orin", (8, 7))
RTX_4090 = nvidia("GeForce RTX 4090", (8, 9))
GRACE = nvidia("GH200", (9, 0))
B300 = nvidia("B300", (10, 3))
RTX_5090 = nvidia("GeForce RTX 5090", (12, 0))
SPARK = nvidia("GB10", (12, 1))
FUTURE = nvidia("GeForce RTX 9090", (15, 0))
RX_7900 = Gpu("Radeon RX 7900 XTX", "amd", 24 * 2**30, None, "gfx1100")
RX_6600 = Gpu("Radeon RX 6600", "amd", 8 * 2**30, None, "gfx1032")
M2 = Gpu("Apple M2", "apple", 16 * 2**30)


def machine(*gpus: Gpu, driver: str | None = None, cuda: tuple[int, int] | None = None, **more) -> Hardware:
    return Hardware(8, 16 * 2**30, gpus, driver, cuda, **more)


NEW = {"driver": "590.44.01", "cuda": (13, 1)}
FIRST_13 = {"driver": "580.65.06", "cuda": (13, 0)}
OF_50_SERIES = {"driver": "570.86.15", "cuda": (12, 8)}
OLD_12 = {"driver": "535.104.05", "cuda": (12, 2)}
FIRST_12 = {"driver": "525.60.13", "cuda": (12, 0)}
OLD_11 = {"driver": "470.256.02", "cuda": (11, 4)}

# a name, the machine, its platform -> the build's key, its device, what its warning must say (None: there is none)
MACHINES = [
    ("RTX 5090, new driver", machine(RTX_5090, **NEW), LINUX, "pypi", "cuda", None),
    ("RTX 5090, new driver, Windows", machine(RTX_5090, **NEW), WINDOWS, "cu130", "cuda", None),
    ("RTX 5090, the driver it came with", machine(RTX_5090, **OF_50_SERIES), LINUX, "cpu", "cpu", "driver 580"),
    ("the same, Windows", machine(RTX_5090, **OF_50_SERIES), WINDOWS, "pypi", "cpu", "driver 580"),
    ("RTX 4090", machine(RTX_4090, **FIRST_13), LINUX, "pypi", "cuda", None),
    ("RTX 3060, driver 535", machine(RTX_3060, **OLD_12), LINUX, "cu126", "cuda", "driver 580"),
    ("RTX 3060, driver 535, Windows", machine(RTX_3060, **OLD_12), WINDOWS, "cu126", "cuda", "driver 580"),
    ("RTX 3060, the least driver", machine(RTX_3060, **FIRST_12), LINUX, "cu126", "cuda", "driver 580"),
    ("RTX 3060, driver 470", machine(RTX_3060, **OLD_11), LINUX, "cpu", "cpu", "driver 525"),
    ("RTX 2060", machine(RTX_2060, **NEW), LINUX, "pypi", "cuda", None),
    ("TITAN V", machine(TITAN_V, **FIRST_13), LINUX, "cu126", "cuda", None),
    ("GTX 1080, new driver", machine(GTX_1080, **FIRST_13), LINUX, "cu126", "cuda", None),
    ("GTX 1080, new driver, Windows", machine(GTX_1080, **FIRST_13), WINDOWS, "cu126", "cuda", None),
    ("GTX 1080, driver 470", machine(GTX_1080, **OLD_11), LINUX, "cpu", "cpu", "driver 525"),
    ("GTX 960", machine(GTX_960, **OLD_12), LINUX, "cu126", "cuda", None),
    ("GTX 780", machine(GTX_780, **OLD_11), LINUX, "cpu", "cpu", "too old, 5.0 is the least"),
    ("a card from the future", machine(FUTURE, **NEW), LINUX, "cpu", "cpu", "newer than this version"),
    ("B300", machine(B300, **NEW), LINUX, "pypi", "cuda", None),
    ("a card that does not tell", machine(nvidia("?", None), **NEW), LINUX, "pypi", "cuda", None),
    ("Grace Hopper", machine(GRACE, **NEW), ARM, "pypi", "cuda", None),
    ("Grace Hopper, driver 535", machine(GRACE, **OLD_12), ARM, "cu126", "cuda", "driver 580"),
    ("DGX Spark", machine(SPARK, **NEW), ARM, "pypi", "cuda", None),
    ("RTX 4090 in an arm64 machine", machine(RTX_4090, **NEW), ARM, "pypi", "cuda", None),
    ("T4G: no build for arm64 is for it", machine(T4G, **NEW), ARM, "cpu", "cpu", "too old, 8.0 is the least"),
    ("Jetson Orin", machine(ORIN, driver="540.4.0", cuda=(12, 6)), ARM, "cpu", "cpu", "no build for Orin"),
    ("two cards that one build is for", machine(GTX_1080, RTX_3060, **FIRST_13), LINUX, "cu126", "cuda", None),
    ("two cards, old driver", machine(RTX_2060, RTX_3060, **OLD_12), LINUX, "cu126", "cuda", "driver 580"),
    ("two cards too far apart", machine(GTX_1080, RTX_5090, **FIRST_13), LINUX, "pypi", "cuda", "GTX 1080 will not"),
    ("the same, driver too old", machine(GTX_1080, RTX_5090, **OF_50_SERIES), LINUX, "cpu", "cpu", "driver 580"),
    ("no card", machine(), LINUX, "cpu", "cpu", None),
    ("no card, arm64", machine(), ARM, "cpu", "cpu", None),
    ("no card, Windows", machine(), WINDOWS, "pypi", "cpu", None),
    ("CUDA does not work", machine(RTX_3060, driver="590.1", notes=("restart!",)), LINUX, "cpu", "cpu", "restart!"),
    ("a card without a driver", machine(notes=("install its driver",)), WINDOWS, "pypi", "cpu", "install its driver"),
    ("RX 7900", machine(RX_7900), LINUX, "rocm7.2", "rocm", None),
    ("RX 7900, Windows", machine(RX_7900), WINDOWS, "pypi", "cpu", "no build for AMD's cards on windows"),
    ("RX 6600", machine(RX_6600), LINUX, "cpu", "cpu", "gfx1032"),
    ("an AMD beside a GeForce", machine(RTX_3060, RX_7900, **NEW), LINUX, "pypi", "cuda", None),
    ("an AMD beside a GTX 780", machine(GTX_780, RX_7900, **OLD_11), LINUX, "rocm7.2", "rocm", "GTX 780"),
    ("Apple M2", machine(M2, metal=True), MAC, "pypi", "mps", None),
    ("a Mac without Metal", machine(), MAC, "pypi", "cpu", None),
]


@pytest.mark.parametrize(
    ("hardware", "platform", "key", "device", "warns"), [row[1:] for row in MACHINES], ids=[row[0] for row in MACHINES]
)
def test_every_machine_gets_the_build_that_runs_on_it(hardware, platform, key, device, warns):
    build = choose(PipConfig(), hardware, platform)
    assert (build.key, build.device) == (key, device)
    if warns is None:
        assert build.warning is None
    else:
        assert warns in build.warning


@pytest.mark.parametrize(
    ("hardware", "platform", "requirement", "index"),
    [
        (machine(), LINUX, f"torch=={TORCH}+cpu", f"{INDEX}/cpu"),
        (machine(), ARM, f"torch=={TORCH}+cpu", f"{INDEX}/cpu"),
        (machine(RTX_5090, **NEW), LINUX, f"torch=={TORCH}", None),
        (machine(GTX_1080, **NEW), LINUX, f"torch=={TORCH}+cu126", f"{INDEX}/cu126"),
        (machine(), WINDOWS, f"torch=={TORCH}", None),
        (machine(RTX_5090, **NEW), WINDOWS, f"torch=={TORCH}+cu130", f"{INDEX}/cu130"),
        (machine(RX_7900), LINUX, f"torch=={TORCH}+rocm7.2", f"{INDEX}/rocm7.2"),
        (machine(M2, metal=True), MAC, f"torch=={TORCH}", None),
    ],
)
def test_a_build_says_what_uv_installs_and_from_where(hardware, platform, requirement, index):
    build = choose(PipConfig(), hardware, platform)
    assert (build.requirement, build.index) == (requirement, index)


def test_the_reason_names_the_card_and_the_driver():
    assert choose(PipConfig(), machine(RTX_5090, **NEW), LINUX).reason == (
        "GeForce RTX 5090 can run CUDA 13.0 with NVIDIA's driver 590.44.01"
    )


def test_a_driver_that_does_not_tell_its_version_is_called_by_its_cuda():
    assert (
        "NVIDIA's driver for CUDA 11.4 is too old"
        in choose(PipConfig(), machine(RTX_3060, cuda=(11, 4)), LINUX).warning
    )


def test_no_build_is_for_a_jetson_before_thor_although_its_number_would_fit():
    assert not any(build.runs_on(ORIN, ARM) for build in CUDA_BUILDS)


def test_a_user_who_wants_the_processor_is_spared_the_gigabytes():
    build = choose(PipConfig(), machine(RTX_5090, **NEW), LINUX, device="cpu")
    assert (build.key, build.device, build.warning) == ("cpu", "cpu", None)


def test_a_device_that_was_asked_for_and_cannot_be_had_is_told_before_anything_is_downloaded():
    assert choose(PipConfig(), machine(RTX_5090, **NEW), LINUX, device="cuda").device == "cuda"
    with pytest.raises(EnvironmentProblem, match="cannot compute on cuda here .*install driver 580 or newer"):
        choose(PipConfig(), machine(RTX_5090, **OF_50_SERIES), LINUX, device="cuda")
    with pytest.raises(EnvironmentProblem, match="cannot compute on rocm here"):
        choose(PipConfig(), machine(), LINUX, device="rocm")


@pytest.fixture
def wheelhouse(tmp_path):
    def fill(*names: str) -> PipConfig:
        for name in names:
            (tmp_path / name).touch()
        return PipConfig(find_links=(str(tmp_path),))

    return fill


def test_a_wheel_of_the_users_own_is_taken_with_the_python_that_it_is_for(wheelhouse):
    build = choose(wheelhouse(WHEEL.format(312, 312)), machine(RTX_5090, **NEW), LINUX)
    assert (build.requirement, build.index, build.pythons) == (f"torch=={TORCH}+cpu", None, ("3.12",))
    assert (build.key, build.device) == ("cpu", "cpu")


def test_of_two_wheels_the_one_for_the_preferred_python_is_taken(wheelhouse):
    build = choose(wheelhouse(WHEEL.format(312, 312), WHEEL.format(311, 311)), machine(), LINUX)
    assert build.pythons == ("3.11",)


@pytest.mark.parametrize(
    ("local", "hardware", "device"),
    [
        ("+cu126", machine(RTX_3060, **NEW), "cuda"),
        ("+cu126", machine(), "cpu"),
        ("", machine(RTX_3060, **NEW), "cuda"),
        ("", machine(), "cpu"),
        ("+rocm7.2", machine(RX_7900), "rocm"),
        ("+rocm7.2", machine(), "cpu"),
    ],
)
def test_a_wheel_of_the_users_own_computes_on_what_is_there(wheelhouse, local, hardware, device):
    assert choose(wheelhouse(WHEEL.format(311, 311).replace("+cpu", local)), hardware, LINUX).device == device


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
    assert choose(wheelhouse(name), machine(), LINUX).index == f"{INDEX}/cpu"
