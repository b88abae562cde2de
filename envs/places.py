# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie below the product's data folder. Knows names of files, not what is in them."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

HOME_VARIABLE = "IMAGE_TO_3D_HOME"
_FOLDER = "image_to_3d"


def default_root() -> Path:
    """The folder for environments, models and caches: IMAGE_TO_3D_HOME, else the platform's place for a user's data."""
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(os.path.abspath(Path(chosen).expanduser()))
    if sys.platform == "win32":
        return _from_variable("LOCALAPPDATA", Path.home() / "AppData" / "Local") / _FOLDER
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / _FOLDER
    return _from_variable("XDG_DATA_HOME", Path.home() / ".local" / "share") / _FOLDER


def package_root() -> Path:
    """The folder of the product's package, in which ``worker`` lies."""
    return Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Places:
    """Paths below ``root``. Nothing here creates them."""

    root: Path

    environments = property(lambda self: self.root / "environments")
    tools = property(lambda self: self.root / "tools")
    pythons = property(lambda self: self.root / "pythons")
    cache = property(lambda self: self.root / "cache" / "packages")
    lock = property(lambda self: self.environments / "installing.lock")
    journal = property(lambda self: self.root / "moving.json")  # there while everything is being moved to this root

    @property
    def movable(self) -> list[Path]:
        """All that the product keeps below the root and that works at another path: everything but environments."""
        return [self.root / name for name in ("tools", "pythons", "weights", "logs", "cache")]

    def marker(self, name: str) -> Path:
        return self.environments / f"{name}.json"

    def verdict(self, name: str) -> Path:
        """Where a check says that the environment ``name`` is broken."""
        return self.environments / f"{name}.broken.json"

    def compiled(self, name: str) -> Path:
        """Where Python keeps compiled files of what runs in ``name``, so that it writes none beside our own modules."""
        return self.root / "cache" / "compiled" / name

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def folders(self, name: str) -> list[Path]:
        """Every folder, in use or half made, that belongs to the environment ``name``."""
        return sorted(path for path in self.environments.glob(f"{name}@*") if path.is_dir())


def _from_variable(variable: str, otherwise: Path) -> Path:
    # The XDG specification: a relative path in such a variable is invalid and to be ignored.
    value = Path(os.environ.get(variable, ""))
    return value if value.is_absolute() else otherwise
