# SPDX-License-Identifier: GPL-3.0-or-later
"""What each environment consists of: its packages, its lock for a platform, and what must be importable afterwards.

Knows files in specs/ and locks/, not how anything is installed.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import EnvironmentProblem
from .machine.platforms import platform_name

TORCH = "2.13.0"
PYTHONS = ("3.11", "3.12")  # in this order: the worker's code runs on both, more wheels exist for the first
BLENDERS = {"4.2": "4.2.23", "4.5": "4.5.15", "5.0": "5.0.1", "5.1": "5.1.2", "5.2": "5.2.3", "5.3": "5.3.0"}
"""bpy's version for each Blender we support."""

BLENDERS_PYTHONS = {"4": "3.11", "5.0": "3.11", "5": "3.13"}
"""The Python of a Blender: that of the longest beginning of its version. bpy has wheels for that one alone."""
_HERE = Path(__file__).resolve().parent

# Modules that the worker loads late are among them: what is imported when an environment is made is compiled then, and
# the first use need not wait for it.
_CORE_IMPORTS = """numpy scipy PIL pillow_heif skimage trimesh fast_simplification onnxruntime safetensors rich torch
huggingface_hub transformers transformers.models.depth_anything.modeling_depth_anything
transformers.models.dinov2.modeling_dinov2 transformers.models.clip.modeling_clip diffusers
diffusers.pipelines.shap_e.pipeline_shap_e_img2img diffusers.pipelines.shap_e.renderer"""
_NERF_IMPORTS = """numpy scipy PIL skimage trimesh fast_simplification onnxruntime rich torch torchmetrics.image.lpip av
nerfacc nerfstudio.fields.nerfacto_field nerfstudio.models.nerfacto nerfstudio.models.neus_facto
nerfstudio.exporter.marching_cubes"""
# From the packages' metadata; GPL are x265 and x264 inside the wheels of pillow-heif and av, LGPL is libheif in there.
_LICENCE = "Free software (BSD, MIT, Apache 2.0, MPL, LGPL, GPL); with an NVIDIA card also NVIDIA's own CUDA libraries"


@dataclass(frozen=True)
class Spec:
    """One environment.

    ``label`` and ``licence`` are what people read in the panel, ``licence`` in one line. ``requirements`` is a lock
    (or, for bpy, a spec with an exact version) and ``text`` its content. ``torch``: it gets the build of torch that
    fits the machine. ``bpy``: its version, in the spec of a Blender. ``worker``: the worker must answer in it.
    ``exact``: the lock is the whole truth, and is installed without asking its packages what else they want.
    """

    name: str
    label: str
    requirements: Path
    imports: tuple[str, ...]
    torch: bool
    pythons: tuple[str, ...] = PYTHONS
    bpy: str = ""
    worker: bool = False
    exact: bool = False
    licence: str = ""

    @property
    def text(self) -> str:
        try:
            text = self.requirements.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            from .machine import host  # needs ctypes, for which Blender's start should not wait

            why = host.why_not(host.this_system())
            why = why or f"no packages are locked for {self.name} on {platform_name()}"
            raise EnvironmentProblem(why, "architecture") from error
        return text.replace("{bpy}", self.bpy)

    @property
    def fingerprint(self) -> str:
        """Changes with what would be installed, not with comments or a checkout's line endings."""
        lines = [line.strip() for line in self.text.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        return hashlib.sha256("\n".join([*lines, f"torch {TORCH if self.torch else None}"]).encode()).hexdigest()


def core() -> Spec:
    imports = tuple(_CORE_IMPORTS.split())
    return Spec("core", "Image to 3D", lock_path("core"), imports, torch=True, worker=True, licence=_LICENCE)


def nerf() -> Spec:
    """nerfstudio's fields and models, and what finds the cameras, for which Linux on arm64 has no package."""
    poses = () if platform_name() == "linux-arm64" else ("pycolmap",)
    imports = (*_NERF_IMPORTS.split(), *poses)
    path = lock_path("nerf")
    return Spec("nerf", "Many photos (NeRF)", path, imports, torch=True, worker=True, exact=True, licence=_LICENCE)


def farm() -> Spec:
    """What core has, and Ray for several machines."""
    imports = (*_CORE_IMPORTS.split(), "ray")
    return Spec("farm", "Several machines (Ray)", lock_path("farm"), imports, torch=True, worker=True, licence=_LICENCE)


def test() -> Spec:
    imports = (*_CORE_IMPORTS.split(), "pytest", "pytest_timeout")
    return Spec("test", "Tests", lock_path("test"), imports, torch=True, worker=True, licence=_LICENCE)


def blender(version: str) -> Spec:
    """The interpreter of Blender ``version`` as a module, for tests of the add-on."""
    return Spec(
        f"blender-{version}",
        f"Blender {version} for tests",
        input_path("blender"),
        ("bpy", "pytest", "pytest_timeout"),
        torch=False,
        pythons=(_blenders_python(version),),
        bpy=BLENDERS[version],
        licence="GPL-3.0-or-later (Blender)",
    )


def _blenders_python(version: str) -> str:
    return BLENDERS_PYTHONS[max((each for each in BLENDERS_PYTHONS if version.startswith(each)), key=len)]


# Made on use, as a spec looks for the lock of this platform. Tests add their own.
TABLE: dict[str, Callable[[], Spec]] = {
    "core": core,
    "nerf": nerf,
    "farm": farm,
    "test": test,
    **{f"blender-{version}": functools.partial(blender, version) for version in BLENDERS},
}


def spec(name: str) -> Spec:
    """The environment called ``name``; raises EnvironmentProblem if there is none."""
    if name not in TABLE:
        raise EnvironmentProblem(f"there is no environment called {name}: choose one of {', '.join(names())}")
    return TABLE[name]()


def names() -> tuple[str, ...]:
    return tuple(TABLE)


def lock_path(name: str, platform: str | None = None) -> Path:
    return _HERE / "locks" / f"{name}-{platform or platform_name()}.txt"


def input_path(name: str) -> Path:
    return _HERE / "specs" / f"{name}.in"
