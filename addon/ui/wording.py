# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are said to the user. Plain text in, plain text out; must not know bpy."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ...worker.core.file_types import VIDEO_FRAMES
from ...worker.core.refining import Preset
from ...worker.core.sequence_info import SequenceResult
from ...worker.wire.making import BatchResult, GenerateResult, HistoryEntry
from ...worker.wire.offers import Estimate, EstimateResult, MethodInfo, NetworkInfo
from ..session.check import CheckResult, Entry
from ..session.jobs import Label
from ..session.launch import Standing
from ..session.states import Shown
from ..session.tasks import Order

WORTH_SAYING = 100_000_000
"""Bytes of memory below which any machine has enough."""

_UNIT = re.compile(r"(\d) (?=(?:s|min|kB|MB|GB)\b)")

_STAGES = {"wait": "waiting", "uv": "getting the installer", "verify": "trying it out"}
_STAGES |= {"torch": "getting what networks run on"}
_STAGES |= {"python": "getting Python", "packages": "installing packages"}


def sentence(text: str) -> str:
    """Messages travel in lower case without a full stop; on the screen they are sentences."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def size(bytes: int) -> str:
    """As downloads are told: decimal units."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if bytes >= factor:
            return f"{bytes / factor:.3g} {unit}"
    return f"{bytes} bytes"


def clock(seconds: float) -> str:
    """Minutes and seconds, for something that is going on."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def remaining(seconds: float | None) -> str:
    """How long something will still take, no more exactly than it is known; "" where it is not."""
    if seconds is None:
        return ""
    about = f"{max(5, round(seconds / 5) * 5)} s" if seconds < 57.5 else f"{round(seconds / 60)} min"
    return f"about {about} left"


def duration(seconds: float) -> str:
    """How long something took."""
    return f"{seconds:.1f} s" if seconds < 60.0 else f"{clock(seconds)} min"


def licence(network: NetworkInfo) -> str:
    """The licence, and what a user would otherwise find out too late."""
    return network.licence if network.commercial else f"{network.licence}, not for commercial use"


def pictures(paths: tuple[str, ...]) -> str:
    """What a job's pictures are called: the first one's name, and how many more."""
    if not paths:
        return ""
    name = re.split(r"[\\/]", paths[0].rstrip("\\/"))[-1]
    return f"{name} and {len(paths) - 1} more" if len(paths) > 1 else name


def folder(count: int) -> str:
    """What a folder holds."""
    return f"{count} photos in it" if count else "No photo in it"


def video(frames: int, seconds: float) -> str:
    """What of a video is taken. frames: 0 where nobody knows."""
    if not frames:
        return f"A video: its {VIDEO_FRAMES} sharpest frames are taken."
    taken = f"the {VIDEO_FRAMES} sharpest are" if frames > VIDEO_FRAMES else "all that show something new are"
    return f"A video of {duration(seconds)} with {frames} frames: {taken} taken."


def network(info: NetworkInfo) -> str:
    """A network as the menu calls it: with its size, where it is a download away."""
    return info.label if info.here or not info.bytes else f"{info.label}  ({size(info.bytes)})"


def about_network(info: NetworkInfo, ready: bool) -> str:
    """What is to be known before one takes a network. `ready`: whether its environment is."""
    here = "Installed" if info.here else f"Not installed: {size(info.bytes)} to download" if info.bytes else ""
    parts = [info.help, f"Licence: {licence(info)}", here, "" if ready else "Has to be set up first"]
    return ". ".join(part.rstrip(".") for part in parts if part)


def about_preset(method: MethodInfo, preset: str, known: Estimate | None) -> str:
    """What a preset comes to."""
    values = {option.name: option.default for option in method.options} | method.presets.get(preset, {})
    faces, texture = (known.faces, known.texture) if known else (values.get("faces"), values.get("texture"))
    parts = [f"At most {faces:,} faces"] if faces else []
    parts += [f"texture of {texture} pixels"] if texture else []
    parts += [f"{_how_long(known)} on this machine"] if known and known.seconds is not None else []
    return ", ".join(parts) or f"Settings for {preset} results"


def estimate(known: EstimateResult | None, preset: str) -> str:
    """What the next job will take here, "" where nobody knows."""
    if known is None:
        return ""
    found = next((each for each in known.presets if each.preset == preset), None)
    parts = [_how_long(found)] if found and found.seconds is not None else []
    memory = max(known.memory, found.memory if found else 0)
    parts += [f"{size(memory)} of memory"] if memory >= WORTH_SAYING else []
    return ", ".join(parts)


def _how_long(found: Estimate) -> str:
    return f"about {duration_about(found.seconds)}{' the first time' * found.guessed}"


def about_rounds(preset: Preset) -> str:
    """What a preset of Improve comes to."""
    rounds = f"{preset.rounds} rounds" if preset.rounds > 1 else "1 round"
    return f"{rounds}, at most {preset.faces:,} faces, texture of {preset.texture} pixels"


def duration_about(seconds: float) -> str:
    """How long something may take, no more exactly than it is known."""
    if seconds < 9.5:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 5) * 5} s" if seconds < 57.5 else f"{round(seconds / 60)} min"


def made(result: GenerateResult) -> str:
    """How a job ended well."""
    time = "from the cache" if result.from_cache else f"in {duration(sum(result.seconds.values()))}"
    by = result.provenance.label if result.provenance else result.network or f"{result.method}d"
    return f"{result.name}: {result.faces:,} faces {time}, {by}"


def made_of_frames(found: SequenceResult) -> str:
    """How a sequence ended well."""
    return f"{found.name}: {found.frames} frames, {found.label}"


def made_of_many(found: BatchResult) -> str:
    """How a batch ended."""
    parts = [f"{found.made} made in {duration(found.seconds)}"]
    parts += [f"{found.kept} there before"] if found.kept else []
    parts += [f"{found.failed} failed"] if found.failed else []
    return ", ".join(parts)


def cancelled(label: Label) -> str:
    """That the user gave something up."""
    return f"Cancelled: {label.title}" if label.title else "Cancelled"


def kept(entry: HistoryEntry) -> tuple[str, str, str]:
    """Three short lines about a result: by what it was made, how, and what it is."""
    how = entry.provenance
    seed = [f"seed {how.options['seed']}"] if "seed" in how.options else []
    made = ", ".join([how.preset.capitalize(), *seed, duration(entry.seconds)])
    return how.label, made, f"{_faces(entry.faces)}, {day(how.date)}"


def _faces(count: int) -> str:
    return f"{count / 1000:.0f}k faces" if count >= 10_000 else f"{count} faces"


def day(date: str) -> str:
    """The day of an ISO date, where the user is, as short as that goes; of today the time, of this year no year."""
    try:
        when = datetime.fromisoformat(date).astimezone()
    except ValueError:
        return date[:10]
    now = datetime.now().astimezone()
    if when.date() == now.date():
        return f"{when:%H:%M}"
    return f"{when:%d %b}" if when.year == now.year else f"{when:%Y-%m-%d}"


def offline(forced: bool) -> str:
    """Why the network is not used. `forced`: by the command line, so that the preference cannot be changed."""
    if forced:
        return "online access was switched off when this program was started"
    return "online access is off: allow it in Preferences > System > Network"


def verb(standing: Standing | None) -> str:
    """What the button says that makes an environment ready."""
    return {Standing.OUTDATED: "Update", Standing.BROKEN: "Repair", Standing.READY: "Repair"}.get(standing, "Set Up")


def standing(standing: Standing | None, reason: str) -> str:
    """What is the matter with an environment, for someone who only wants meshes."""
    said = {
        Standing.INCOMPLETE: "Setting up was begun but not finished. What was downloaded is kept.",
        Standing.OUTDATED: "This version of the add-on needs other packages than the last.",
        Standing.BROKEN: sentence(reason),
        Standing.READY: "It is ready. Repairing looks at every file again.",
    }
    return said.get(standing, "Has to be set up once, before the first mesh.")


def need(entry: Entry) -> str:
    """What making an environment takes, "" where that is not known. Of one that was begun much is here already."""
    about = "about " if entry.estimated else ""
    most = "" if entry.standing is Standing.ABSENT else "at most "
    parts = [f"{most or about}{size(entry.download)} to download"] if entry.download else []
    parts += [f"{about}{size(entry.disk)} on disk"] if entry.disk else []
    return sentence(", ".join(parts)) if parts else ""


def along(network: NetworkInfo) -> str:
    """What is fetched with the set-up."""
    count = {1: "one network", 2: "two networks"}.get(len(network.along), f"{len(network.along)} networks")
    return f"and {count}: {' and '.join(network.along)}"


def done(order: Order) -> str:
    """How an order went well."""
    return {
        "create": "Set up and tried out: ready to generate.",
        "repair": "Repaired and tried out: ready to generate.",
        "move": "Everything was moved.",
        "remove": "The environment was removed.",
    }[order.verb]


def runs_on(check: CheckResult) -> str:
    """What the networks will run on, for someone who only wants meshes."""
    return build(check) if check.gpus else "Will run on the processor: there is no graphics card that could help."


def build(check: CheckResult) -> str:
    """What the networks will run on, and why."""
    return sentence(f"{', '.join(check.gpus) or 'No usable graphics card'}; {check.build}")


def sizes(check: CheckResult) -> str:
    """What takes how much of the disk, and what is free; "" where nothing is known."""
    free = [] if check.free is None else [f"{size(check.free)} free"]
    return ", ".join([*(f"{what} {size(bytes)}" for what, bytes in check.sizes if bytes), *free])


def stage(shown: Shown) -> str:
    """The progress bar's text."""
    name = sentence(_STAGES.get(shown.stage, shown.stage or "working")).removesuffix(".")
    return f"{name}  {shown.fraction:.0%}" if shown.fraction else name


def amount(shown: Shown) -> str:
    """How many bytes are here, "" where that is not known."""
    if shown.bytes is None:
        return ""
    return f"{size(shown.bytes)} of {size(shown.of)}" if shown.of else size(shown.bytes)


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Lines of `text` that `measure` finds no wider than `width`; a word that is wider stands alone, and a number stays
    with its unit."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in filter(None, _UNIT.sub("\\1\u00a0", paragraph).split(" ")):
            longer = f"{line} {word}".strip()
            if line and measure(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return [line.replace("\u00a0", " ") for line in lines]
