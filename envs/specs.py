# SPDX-License-Identifier: GPL-3.0-or-later
"""What each environment consists of: its packages, its lock for a platform, and what must be importable afterwards.

Knows files in specs/ and locks/, not how anything is installed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .errors import EnvironmentProblem
from .platforms import platform_name

TORCH = "2.13.0"
PYTHONS = ("3.11", "3.12")  # in this order: the worker's code runs on both, more wheels exist for the first
BLENDERS = {"4.2": "4.2.23", "4.5": "4.5.15", "5.0": "5.0.1"}  # bpy's version for each Blender we support
_HERE = Path(__file__).resolve().parent

_CORE_IMPORTS = (
    "numpy",
    "scipy",
    "PIL",
    "pillow_heif",
    "skimage",
    "trimesh",
    "fast_simplification",
    "safetensors",
    "huggingface_hub",
    "rich",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class Spec:
    """One environment. ``requirements`` is a lock (or, for bpy, a spec with an exact version), ``text`` its content."""

    name: str
    requirements: Path
    imports: tuple[str, ...]
    torch: bool
    pythons: tuple[str, ...] = PYTHONS
    substitutions: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        try:
            text = self.requirements.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise EnvironmentProblem(
                f"no packages are locked for {self.name} on {platform_name()}: this platform is not supported yet"
            ) from error
        for placeholder, value in self.substitutions:
            text = text.replace(placeholder, value)
        return text

    @property
    def fingerprint(self) -> str:
        """Changes with what would be installed, not with comments or a checkout's line endings."""
        lines = [line.strip() for line in self.text.splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        return hashlib.sha256("\n".join([*lines, f"torch {TORCH if self.torch else None}"]).encode()).hexdigest()


def spec(name: str) -> Spec:
    """The environment called ``core``, ``test`` or ``blender-4.5`` (or another of BLENDERS)."""
    if name == "core":
        return Spec(name, lock_path(name), _CORE_IMPORTS, torch=True)
    if name == "test":
        return Spec(name, lock_path(name), (*_CORE_IMPORTS, "pytest", "pytest_timeout"), torch=True)
    kind, _, version = name.partition("-")
    if kind == "blender" and version in BLENDERS:
        return Spec(
            name,
            input_path("blender"),
            ("bpy", "pytest", "pytest_timeout"),
            torch=False,
            pythons=("3.11",),
            substitutions=(("{bpy}", BLENDERS[version]),),
        )
    known = ", ".join(["core", "test", *(f"blender-{each}" for each in BLENDERS)])
    raise EnvironmentProblem(f"there is no environment called {name}: choose one of {known}")


def lock_path(name: str, platform: str | None = None) -> Path:
    return _HERE / "locks" / f"{name}-{platform or platform_name()}.txt"


def input_path(name: str) -> Path:
    return _HERE / "specs" / f"{name}.in"
