# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a bug report: what a maintainer asks first, and nothing private. Knows what report.py gathers."""

from collections.abc import Iterator
from typing import Any

from .redaction import redact

# Packages whose versions matter when something does not work, as they are named on PyPI.
_MAIN_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pillow",
    "scikit-image",
    "trimesh",
    "transformers",
    "safetensors",
    "huggingface_hub",
    "nerfacc",
    "nerfstudio",
    "pycolmap",
)
_Found = dict[str, Any]


def text(gathered: _Found) -> str:
    """``gathered`` in Markdown, without names of users and machines, home folders, passwords and tokens."""
    lines = [f"### Image to 3D {gathered['product']}: environments", "", *_machine(gathered), ""]
    for each in gathered["environments"]:
        lines += [*_environment(each), ""]
    lines += [f"- {each['text']}" for each in gathered["findings"] if not each["ok"]]
    for each in gathered["environments"]:
        lines += _log(each)
    return redact("\n".join(lines).rstrip() + "\n")


def _machine(gathered: _Found) -> Iterator[str]:
    hardware, torch = gathered["hardware"], gathered["torch"]
    yield f"- machine: {hardware['summary'] if hardware else gathered['platform']}"
    yield from (f"- note: {note}" for note in (hardware or {}).get("notes", ()))
    yield f"- platform: {gathered['platform']}; envs runs in Python {gathered['python']}"
    yield f"- uv: {gathered['uv'] or 'not here yet'}"
    if torch:
        yield f"- torch for this machine: {torch['requirement']} on {torch['device']}, since {torch['reason']}"
        yield from [f"- warning: {torch['warning']}"] if torch["warning"] else []
    yield f"- folder: {gathered['root']}, {_size(gathered['free_bytes'])} free"
    if gathered["sizes"]:
        yield "- sizes: " + ", ".join(f"{name} {_size(size)}" for name, size in gathered["sizes"].items())
    yield from _network(gathered["network"])


def _network(network: _Found) -> Iterator[str]:
    yield f"- indexes: {', '.join(network['indexes']) or 'none'}"
    if network["find_links"]:
        yield f"- find-links: {', '.join(network['find_links'])}"
    yield (
        f"- proxy: {_yes(network['proxy'])}, certificates of one's own: {_yes(network['certificates'])}, "
        f"client certificate: {_yes(network['client_certificate'])}, trusted hosts: {network['trusted_hosts']}"
    )


def _environment(each: _Found) -> Iterator[str]:
    yield f"**{each['name']}**: {each['state']} ({each['reason']})"
    if each["python"]:
        yield f"- interpreter: {each['python']}"
    if each["bytes"] is not None:
        yield f"- on the disk: {_size(each['bytes'])}"
    if each["need"]:
        need = each["need"]
        about = "about " if need["estimated"] else ""
        yield (
            f"- takes {about}{_size(need['download'])} of downloads and {about}{_size(need['disk'])} on the disk, "
            f"{need['packages']} packages"
        )
    if each["device"]:
        yield f"- tried on: {each['device']}"
    if versions := each["versions"]:
        known = {_normal(name): version for name, version in versions.items()}
        main = [f"{name} {known[_normal(name)]}" for name in _MAIN_PACKAGES if _normal(name) in known]
        yield f"- {len(versions)} packages, among them {', '.join(main) or 'none of the main ones'}"


def _log(each: _Found) -> list[str]:
    """The end of the log of what is not in order."""
    if each["state"] == "ready" or not each["log_tail"]:
        return []
    return ["", f"End of the log of {each['name']}:", "```", each["log_tail"].replace("```", "'''"), "```"]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _size(count: int | None) -> str:
    if count is None:
        return "unknown"
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _yes(known: bool) -> str:
    return "yes" if known else "no"
