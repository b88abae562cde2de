# SPDX-License-Identifier: GPL-3.0-or-later
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from image_to_3d.envs.machine import host, nvidia, radeon
from image_to_3d.envs.machine.hardware import Gpu, find

GIB = 2**30
HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="reads the files of Linux's core")


@pytest.fixture(autouse=True)
def nothing_is_hidden(monkeypatch):
    for name in HIDING:
        monkeypatch.delenv(name, raising=False)


class Nvml:
    """NVML as nvidia.py sees it: arguments made by byref() are written through ``_obj``."""

    def __init__(self, *cards: tuple[str, int | None, tuple[int, int]], fails: dict[str, int] | None = None):
        self.cards, self.fails, self.is_open = cards, fails or {}, False

    def nvmlInit_v2(self):
        self.is_open = not self.fails.get("init")
        return self.fails.get("init", 0)

    def nvmlShutdown(self):
        self.is_open = False
        return 0

    def nvmlSystemGetDriverVersion(self, text, size):
        text.value = b"580.65.06"
        return 0

    def nvmlDeviceGetCount_v2(self, count):
        count._obj.value = len(self.cards)
        return self.fails.get("count", 0)

    def nvmlDeviceGetHandleByIndex_v2(self, index, card):
        card._obj.value = index.value + 1
        return self.fails.get(f"card {index.value}", 0)

    def nvmlDeviceGetName(self, card, text, size):
        text.value = self.cards[card.value - 1][0].encode()
        return 0

    def nvmlDeviceGetMemoryInfo(self, card, memory):
        size = self.cards[card.value - 1][1]
        memory._obj.total = size or 0
        return 0 if size else 3  # NVML_ERROR_NOT_SUPPORTED

    def nvmlDeviceGetCudaComputeCapability(self, card, major, minor):
        major._obj.value, minor._obj.value = self.cards[card.value - 1][2]
        return 0


class OldNvml(Nvml):
    def __getattribute__(self, name):
        if name == "nvmlDeviceGetCudaComputeCapability":
            raise AttributeError(name)
        return super().__getattribute__(name)


class Cuda:
    def __init__(self, *cards: tuple[str, int, tuple[int, int]], version: int = 13000, fails: int = 0):
        self.cards, self.version, self.fails = cards, version, fails

    def cuInit(self, flags):
        return self.fails

    def cuDriverGetVersion(self, version):
        version._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, card, index):
        card._obj.value = index
        return 0

    def cuDeviceGetName(self, text, size, card):
        text.value = self.cards[card.value][0].encode()
        return 0

    def cuDeviceTotalMem_v2(self, size, card):
        size._obj.value = self.cards[card.value][1]
        return 0

    def cuDeviceGetAttribute(self, number, attribute, card):
        number._obj.value = self.cards[card.value][2][attribute - 75]
        return 0


RTX = ("NVIDIA GeForce RTX 3060", 12 * GIB, (8, 6))
GTX = ("NVIDIA GeForce GTX 1080", 8 * GIB, (6, 1))


def ask(**libraries):
    def load(name):
        if name not in libraries:
            raise OSError("no such library")
        return libraries[name]

    return nvidia.ask(load)


def test_the_driver_tells_its_version_its_cuda_and_every_card():
    management = Nvml(RTX, GTX)
    assert ask(nvml=management, cuda=Cuda(version=12080)) == {
        "driver": "580.65.06",
        "cuda": [12, 8],
        "gpus": [
            {"name": "NVIDIA GeForce RTX 3060", "memory_bytes": 12 * GIB, "capability": [8, 6]},
            {"name": "NVIDIA GeForce GTX 1080", "memory_bytes": 8 * GIB, "capability": [6, 1]},
        ],
        "notes": [],
    }
    assert not management.is_open


def test_without_the_management_library_cuda_tells_the_cards():
    assert ask(cuda=Cuda(RTX, version=12060)) == {
        "driver": None,
        "cuda": [12, 6],
        "gpus": [{"name": "NVIDIA GeForce RTX 3060", "memory_bytes": 12 * GIB, "capability": [8, 6]}],
        "notes": [],
    }


def test_without_any_library_there_is_nothing_to_tell():
    assert ask() == {"driver": None, "cuda": None, "gpus": [], "notes": []}


def test_cards_without_the_cuda_library_cannot_compute():
    found = ask(nvml=Nvml(RTX))
    assert (len(found["gpus"]), found["cuda"]) == (1, None)
    assert "NVIDIA_DRIVER_CAPABILITIES=compute" in found["notes"][0]


@pytest.mark.parametrize(
    ("code", "said"),
    [(18, "it was updated and the old one is still loaded: restart"), (9, "not loaded"), (999, "fails with error 999")],
)
def test_a_management_library_that_fails_is_told_with_what_to_do(code, said):
    found = ask(nvml=Nvml(RTX, fails={"init": code}), cuda=Cuda(fails=803))
    assert [said in note for note in found["notes"]] == [True]
    assert found["gpus"] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (100, "--gpus all"),
        (803, "restart the machine"),
        (802, "try again in some minutes"),
        (777, "fails with error 777"),
    ],
)
def test_cuda_that_fails_is_told_with_what_to_do(code, said):
    found = ask(nvml=Nvml(RTX), cuda=Cuda(fails=code))
    assert (len(found["gpus"]), found["cuda"]) == (1, None)
    assert [said in note for note in found["notes"]] == [True]


def test_a_card_that_is_lost_does_not_hide_the_others():
    found = ask(nvml=Nvml(GTX, RTX, fails={"card 0": 15}), cuda=Cuda())
    assert [card["name"] for card in found["gpus"]] == [RTX[0]]
    assert found["notes"] == ["card 0 of NVIDIA's cannot be used: the card does not answer: restart the machine"]


def test_the_management_library_is_closed_when_it_fails_half_way():
    management = Nvml(RTX, fails={"count": 999})
    ask(nvml=management)
    assert not management.is_open


def test_what_a_card_or_an_old_driver_does_not_tell_is_left_open():
    found = ask(nvml=OldNvml(("GB10", None, (12, 1))), cuda=Cuda())
    assert found["gpus"] == [{"name": "GB10", "memory_bytes": None, "capability": None}]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build", "580.65.06"),
        ("nothing of the kind", None),
    ],
)
def test_the_drivers_version_is_in_a_file_too(tmp_path, text, version):
    assert nvidia.driver_in_proc(tmp_path) is None
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(text)
    assert nvidia.driver_in_proc(tmp_path) == version


# --- the process that asks, and what becomes of its answer ---


@pytest.fixture
def machine(tmp_path):
    """A folder that stands for a machine's root, with an NVIDIA card on its bus."""
    if sys.platform == "darwin":
        pytest.skip("no NVIDIA driver is asked on a Mac")
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "class").write_text("0x030000\n")
    (device / "vendor").write_text("0x10de\n")
    return tmp_path


@pytest.fixture
def instead_of_python(tmp_path, monkeypatch):
    """What the process that asks the driver does instead."""
    if os.name != "posix":
        pytest.skip("needs a shell")

    def replace(script: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return replace


def test_a_driver_that_hangs_is_given_up(instead_of_python, machine):
    instead_of_python("exec sleep 60")
    hardware = find(limit=0.2, filesystem=machine)
    assert "it did not answer in 0 seconds" in hardware.notes[0]
    assert hardware.cuda is None


@pytest.mark.parametrize("script", ["kill -SEGV $$", "exit 3", "echo '{'"])
def test_a_driver_that_crashes_takes_nobody_along(instead_of_python, machine, script):
    instead_of_python(script)
    hardware = find(filesystem=machine)
    assert "it ended with code" in hardware.notes[0]
    assert "restart the machine" in hardware.notes[0]


def test_an_interpreter_that_cannot_be_started_is_only_a_note(machine, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(machine / "none"))
    assert "could not be asked" in find(filesystem=machine).notes[0]


ANSWER = {"driver": "580.1", "cuda": [13, 0], "notes": [], "gpus": []}
CARD = {"name": "RTX", "memory_bytes": 12 * GIB, "capability": [8, 6]}


def test_the_answer_becomes_cards(instead_of_python, machine):
    instead_of_python(f"echo '{json.dumps({**ANSWER, 'gpus': [CARD]})}'")
    hardware = find(filesystem=machine)
    assert hardware.gpus == [Gpu("RTX", "nvidia", 12 * GIB, (8, 6))]
    assert (hardware.driver, hardware.cuda, hardware.notes) == ("580.1", (13, 0), [])


def test_cards_that_this_session_hides_are_asked_about_all_the_same(instead_of_python, machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    answer = json.dumps({**ANSWER, "gpus": [CARD], "driver": "DRIVER"})
    instead_of_python(f"echo '{answer}' | sed s/DRIVER/seen:$CUDA_VISIBLE_DEVICES/")
    hardware = find(filesystem=machine)
    assert (hardware.driver, len(hardware.gpus), hardware.cuda) == ("seen:", 1, (13, 0))
    assert "CUDA_VISIBLE_DEVICES is set to '7', which hides some" in hardware.notes[0]


@pytest.mark.parametrize("value", ["", "-1"])
def test_who_hides_every_card_gets_none(instead_of_python, machine, monkeypatch, value):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    instead_of_python(f"echo '{json.dumps({**ANSWER, 'gpus': [CARD]})}'")
    hardware = find(filesystem=machine)
    assert (hardware.gpus, hardware.cuda) == ([], None)
    assert "hides all graphics cards" in hardware.notes[0]


FAILING = json.dumps({**ANSWER, "driver": None, "cuda": None, "notes": ["it is broken"]})
NOTHING = json.dumps({**ANSWER, "driver": None, "cuda": None})


@LINUX_ONLY
def test_a_card_without_a_driver_is_told(instead_of_python, machine):
    instead_of_python(f"echo '{NOTHING}'")
    assert "not its driver: install NVIDIA's driver" in find(filesystem=machine).notes[0]


@LINUX_ONLY
@pytest.mark.parametrize(("vendor", "is_told"), [("0x10de", True), ("0x1414", True), ("0x1002", False)])
def test_a_failing_driver_is_told_only_where_it_could_have_a_card(instead_of_python, machine, vendor, is_told):
    (machine / "sys/bus/pci/devices/0000:01:00.0/vendor").write_text(vendor)
    instead_of_python(f"echo '{FAILING}'")
    assert find(filesystem=machine).notes == (["it is broken"] if is_told else [])


@LINUX_ONLY
def test_a_driver_that_fails_still_tells_its_version_by_a_file(instead_of_python, machine):
    (machine / "proc/driver/nvidia").mkdir(parents=True)
    (machine / "proc/driver/nvidia/version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  x")
    instead_of_python(f"echo '{FAILING}'")
    assert find(filesystem=machine).driver == "535.54.03"


# --- libraries made by a compiler: the process, ctypes and the signatures together ---

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef struct { unsigned long long total, free, used; } memory_t;
int nvmlInit_v2(void) {
    const char *how = getenv("FAKE_NVML");
    if (how && !strcmp(how, "hangs")) for (;;) pause();
    if (how && !strcmp(how, "crashes")) abort();
    return how ? atoi(how) : 0;
}
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strncpy(text, "580.65.06", size); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **card) {
    *card = (void *)(0x7fff00000000ull + index); return 0;
}
int nvmlDeviceGetName(void *card, char *text, unsigned size) {
    strncpy(text, card == (void *)0x7fff00000001ull ? "second" : "first", size); return 0;
}
int nvmlDeviceGetMemoryInfo(void *card, memory_t *memory) { memory->total = 25769803776ull; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *card, int *major, int *minor) { *major = 8; *minor = 9; return 0; }
int cuInit(unsigned flags) { return getenv("CUDA_VISIBLE_DEVICES") ? 100 : 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *card, int index) { *card = index; return 0; }
int cuDeviceGetName(char *text, int size, int card) { strncpy(text, "by CUDA", size); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int card) { *bytes = 25769803776ull; return 0; }
int cuDeviceGetAttribute(int *number, int attribute, int card) { *number = attribute == 75 ? 12 : 1; return 0; }
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """A folder with a libnvidia-ml.so.1 that is libcuda, too."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or not compiler:
        pytest.skip("needs Linux and a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(SOURCE)
    made = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(folder / "driver.c")], check=True, timeout=60)
    return folder


@pytest.fixture
def driver(compiled, tmp_path, monkeypatch):
    """Installs the compiled libraries of these names for the processes that are started."""

    def install(*names: str) -> None:
        folder = tmp_path / "libraries"
        folder.mkdir()
        for name in names:
            shutil.copy(compiled / "libnvidia-ml.so.1", folder / name)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))

    return install


def test_a_real_library_is_asked_through_its_signatures(driver, machine, monkeypatch):
    driver("libnvidia-ml.so.1", "libcuda.so.1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    hardware = find(filesystem=machine)
    assert [(gpu.name, gpu.memory_bytes, gpu.capability) for gpu in hardware.gpus] == [
        ("first", 24 * GIB, (8, 9)),
        ("second", 24 * GIB, (8, 9)),
    ]
    assert (hardware.driver, hardware.cuda) == ("580.65.06", (13, 0))


def test_a_real_libcuda_alone_is_asked_through_its_signatures(driver, machine):
    driver("libcuda.so.1")
    if (Path("/usr/lib") / "libnvidia-ml.so.1").exists() or Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has an NVIDIA driver of its own")
    hardware = find(filesystem=machine)
    assert hardware.gpus == [Gpu("by CUDA", "nvidia", 24 * GIB, (12, 1))]


@pytest.mark.parametrize(("how", "said"), [("18", "updated"), ("hangs", "did not answer"), ("crashes", "code -6")])
def test_a_real_library_that_does_not_work_becomes_a_note(driver, machine, monkeypatch, how, said):
    driver("libnvidia-ml.so.1")
    monkeypatch.setenv("FAKE_NVML", how)
    hardware = find(limit=0.5 if how == "hangs" else 30.0, filesystem=machine)
    assert said in hardware.notes[0]


# --- AMD ---


@pytest.fixture
def amd(tmp_path):
    """A folder that stands for the root of a machine with a processor, an RX 7900 XTX and its graphics' core driver."""
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    for number, text in enumerate(
        [
            "cpu_cores_count 16\ngfx_target_version 0\n",
            "gfx_target_version 110000\ndevice_id 29772\ndrm_render_minor 128\n",
        ]
    ):
        (nodes / str(number)).mkdir(parents=True)
        (nodes / str(number) / "properties").write_text(text)
    device = tmp_path / "sys/class/drm/renderD128/device"
    device.mkdir(parents=True)
    (device / "revision").write_text("0xc8\n")
    (device / "mem_info_vram_total").write_text(f"{24 * GIB}\n")
    (tmp_path / "usr/share/libdrm").mkdir(parents=True)
    (tmp_path / "usr/share/libdrm/amdgpu.ids").write_text(
        "# a comment\n1.0.0\n744C,\tC4,\tAMD Radeon RX 7900M\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n"
    )
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    return tmp_path


def test_a_radeon_is_told_with_its_name_architecture_and_memory(amd):
    assert radeon.cards(amd) == [Gpu("AMD Radeon RX 7900 XTX", "amd", 24 * GIB, None, "gfx1100")]


def test_a_radeon_that_no_table_knows_is_called_by_its_architecture(amd):
    shutil.rmtree(amd / "usr")
    shutil.rmtree(amd / "sys/class/drm")
    assert radeon.cards(amd) == [Gpu("AMD graphics (gfx1100)", "amd", None, None, "gfx1100")]


@pytest.mark.parametrize(
    ("target", "architecture"),
    [(90010, "gfx90a"), (90402, "gfx942"), (100302, "gfx1032"), (110501, "gfx1151"), (120001, "gfx1201")],
)
def test_architectures_are_written_as_compilers_write_them(amd, target, architecture):
    (amd / "sys/class/kfd/kfd/topology/nodes/1/properties").write_text(f"gfx_target_version {target}\n")
    assert [card.architecture for card in radeon.cards(amd)] == [architecture]


@LINUX_ONLY
def test_a_radeon_is_among_the_hardware(amd, instead_of_python):
    instead_of_python(f"echo '{NOTHING}'")
    hardware = find(filesystem=amd)
    assert hardware.gpus == [Gpu("AMD Radeon RX 7900 XTX", "amd", 24 * GIB, None, "gfx1100")]


@LINUX_ONLY
def test_a_radeon_that_cannot_be_used_is_a_note(amd, instead_of_python, monkeypatch):
    instead_of_python(f"echo '{NOTHING}'")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    denied = find(filesystem=amd)
    assert (denied.gpus, "usermod -aG render,video" in denied.notes[0]) == ([], True)
    (amd / "dev/kfd").unlink()
    assert "--device /dev/kfd" in find(filesystem=amd).notes[0]


# --- the machine itself ---


def test_this_machine_can_be_told_as_json():
    hardware = find()
    assert hardware.cores >= 1
    assert sys.platform == "win32" or hardware.memory_bytes > GIB // 2
    assert json.loads(json.dumps(asdict(hardware)))["cores"] == hardware.cores


@pytest.mark.skipif(sys.platform == "darwin", reason="asks whether this is a translated Python on a Mac")
def test_only_a_mac_translates():
    assert not host.this_system().translated
