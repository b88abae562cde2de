# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that paint anew what a render does not know (see core/repaint.py). What methods share; no method itself.

FLUX.2 klein (Black Forest Labs 2026), or any other pipeline of diffusers that makes a picture of a picture: `named`.
What paints is in `painter`, which brings torch.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...core.errors import Invalid
from ...core.texts import shortened
from ...store.weights import HubPipeline
from ..method import Network

KLEIN = Network(
    "flux2-klein",
    "FLUX.2 klein 4B",
    "Apache-2.0",
    "Paints what no photo shows, looking at the photo: the best sides and backs. For a graphics card of 10 GB.",
    HubPipeline("black-forest-labs/FLUX.2-klein-4B", "e7b7dc27f91deacad38e78976d1f2b499d76a294", 15_980_000_000),
    automatic=False,  # of 16 GB, and made for a card
    takes=9_500_000_000,  # the larger of its two halves, which are never there at once, in half precision
    quality=2,
)
NETWORKS = (KLEIN,)

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LICENCE = re.compile(r"^license(?:_name)?:\s*[\"']?([\w .+-]+)", re.MULTILINE)


def named(text: str) -> Network:
    """The network that a user names: one of NETWORKS, a folder with a pipeline of diffusers, or a repository of the
    hub's with one. Its licence is read where that is here, else it is not known. Raises Invalid."""
    for network in NETWORKS:
        if network.name == text.lower():
            return network
    folder = Path(os.path.expanduser(text))
    if (index := folder / "model_index.json").is_file():
        help = f"The pipeline of diffusers in {folder}."
        return Network(str(folder), folder.name, licence(folder), help, file=index, automatic=False)
    if not _REPOSITORY.fullmatch(text):
        names = ", ".join(network.name for network in NETWORKS)
        wanted = f"{names}, a folder with a pipeline of diffusers (model_index.json), or a repository as OWNER/NAME"
        raise Invalid(f"there is no repainter {shortened(text, 80)!r}: choose one of {wanted}")
    page = HubPipeline(text, "main")
    fetch = f"fetch it with `hf download {text} --local-dir FOLDER`, and name that folder"
    return Network(text, text, "see its page", f"The pipeline at {page.source}.", page, automatic=False, by_hand=fetch)


def licence(folder: Path) -> str:
    """What the card beside a pipeline says of its licence."""
    try:
        head = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:4000]
    except OSError:
        head = ""
    names = _LICENCE.findall(head)
    return names[-1].strip() if names else "not known: its folder has no card that tells it"
