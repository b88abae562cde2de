# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of HTML on which all things of a batch are seen beside their pictures: one file, with nothing from elsewhere.

Must not know how they were made.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import Unable
from ..core.texts import readable
from ..core.whole_file import WholeFile
from ..pictures.look import files_below, may_be_picture
from ..pictures.small import small

SIZE = 200
"""Pixels along the side of the pictures, of which two stand beside each other."""

MOST = 2_000
"""Things on the page, which is about 12 kB for each; those that failed come first where there are more."""

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Contact sheet</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>
body { font: 14px system-ui, sans-serif; margin: 24px; background: #f4f4f2; color: #222 }
main { display: grid; grid-template-columns: repeat(auto-fill, 412px); gap: 16px }
figure { margin: 0; background: #fff; border: 1px solid #ddd; border-radius: 6px; overflow: hidden }
.pair { display: flex; height: 206px; background: #fff } .failed .pair { background: #eee }
.pair span { width: 206px; display: flex; align-items: center; justify-content: center; color: #777 }
.pair img { max-width: 200px; max-height: 200px }
figcaption { padding: 8px 10px; overflow-wrap: anywhere } small { color: #666; display: block }
.failed { border-color: #b33 } .failed small { color: #b33 } .note { color: #850 }
</style></head><body>
"""


def written(path: Path, entries: Sequence[Mapping[str, Any]], check: Callable[[], None]) -> None:
    """Writes the page of these entries of a ledger, whose files lie beside it. check: is called for each, to hear a
    cancel. Raises Unable."""
    failed = sum(entry["status"] == "failed" for entry in entries)
    shown = sorted(entries, key=lambda entry: entry["status"] != "failed") if len(entries) > MOST else entries
    told = f"{len(entries) - failed} made, {failed} failed"
    if len(entries) > MOST:
        told += f"; the first {MOST:,} are shown, and results.jsonl has all"
    try:
        with WholeFile(path) as file:
            file.write(f"{_HEAD}<h1>Contact sheet</h1><p>{told}</p>\n<main>\n".encode())
            for entry in shown[:MOST]:
                check()
                file.write("".join(_figure(entry, path.parent)).encode("utf-8", "replace"))
            file.write(b"</main></body></html>\n")
    except OSError as error:
        raise Unable(f"{path} could not be written ({error.strerror or error}): free space") from None


def _figure(entry: Mapping[str, Any], folder: Path) -> Iterator[str]:
    done = entry["status"] == "done"
    photo = _photo(entry)
    result = small(folder / entry["thumbnail"], SIZE) if done else None
    yield f'<figure class="{"done" if done else "failed"}"><div class="pair">'
    for picture, without in ((photo, "no picture"), (result, "failed" if not done else "not drawn")):
        yield f"<span>{_image(picture) if picture else without}</span>"
    yield f"</div><figcaption>{_text(entry['name'])}"
    if done:
        yield f"<small>{entry['faces']:,} faces, {_text(entry['network'])}, {entry['seconds']:.1f} s</small>"
        yield from (f'<small class="note">{_text(warning)}</small>' for warning in entry["warnings"])
    else:
        yield f"<small>{_text(entry['error'])}</small>"
    yield "</figcaption></figure>\n"


def _photo(entry: Mapping[str, Any]) -> bytes | None:
    """The first picture of the thing, made small."""
    if not entry["pictures"]:
        return None
    path = Path(entry["pictures"][0])
    with suppress(OSError, ValueError):
        if path.is_dir():
            path = next((each for each in files_below(path) if may_be_picture(each)), path)
    return small(path, SIZE)


def _image(picture: bytes) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">'


def _text(text: str) -> str:
    return html.escape(readable(text))
