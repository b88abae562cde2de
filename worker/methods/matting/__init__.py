# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels are the thing that a picture is of. What methods for things share; no method itself.

U2-Net (Qin et al. 2020, arXiv:2005.09007), here its small form, and IS-Net (Qin et al. 2022, arXiv:2203.03041), as
rembg publishes them.
"""

from __future__ import annotations

from ...store.weights import HubFile, WebModel
from ..method import Network

_REMBG = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"


def _row(name: str, label: str, bytes: int, sha256: str, automatic: bool) -> Network:
    published = WebModel(_REMBG, (HubFile(f"{name}.onnx", bytes, sha256),))
    help = "Finds the thing in a photo, whatever is behind it."
    return Network(name, label, "Apache-2.0", help, published, automatic=automatic)


ISNET = _row(
    "isnet-general-use",
    "IS-Net",
    178_648_008,
    "60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
    automatic=False,  # better, but larger than all that it helps
)
U2NETP = _row(
    "u2netp",
    "U2-Net small",
    4_574_861,
    "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
    automatic=True,
)
NETWORKS = (ISNET, U2NETP)
"""Best first."""
