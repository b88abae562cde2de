# SPDX-License-Identifier: GPL-3.0-or-later
"""What files can be given, by the endings of their names in lower case. Standard library only: both sides know them."""

from collections.abc import Collection

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif", ".gif")
PICTURES += (".jfif", ".jpe", ".hif", ".hdr")

RAW_PICTURES = (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".srf", ".pef", ".orf", ".rw2", ".raf")
RAW_PICTURES += (".3fr", ".iiq", ".erf", ".kdc", ".mos", ".mrw", ".x3f", ".srw")
"""What cameras write that has to be developed. Of a folder's, the previews are used where they are large enough."""

TAKEN = (*PICTURES, *RAW_PICTURES)
"""What can be chosen for a picture: dialogs, drops and folders know the same."""

UNREAD_PICTURES = (".jxl", ".jp2", ".j2k", ".exr", ".psd")
"""Pictures of kinds that are not read: said, and not passed over."""

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".3gp", ".wmv")

VIDEO_FRAMES = 60
"""So many pictures are taken of a video: enough for once around a thing, and matched in minutes."""

COLMAP_IMAGES = ("images.bin", "images.txt")
"""Of COLMAP's models, the file that says where each picture was taken; the others lie beside it."""

CAMERA_LISTS = ("*.json", "*_par.txt", *COLMAP_IMAGES)
"""Patterns of names of files that say where pictures were taken."""

_NERF = ("transforms.json", "transforms_train.json")
_MIDDLEBURY = "_par.txt"

IMAGE_FOLDERS = ("images", "image", "input", "photos", "frames", "rgb")
"""Names that programs for photogrammetry (COLMAP, nerfstudio, Gaussian splatting) give a project's folder of photos."""

MASK_MARKS = ("_mask", ".mask", "-mask")
"""How the names of masks end, before their ending, beside the photos that they belong to."""


SPLATS = (".spz", ".ply", ".splats.glb")
"""How the name of a result ends that is Gaussian splats: as Blender reads them, as the published code does, and as
glTF's extension has them."""


FORMATS = ("glb", *(ending.removeprefix(".") for ending in SPLATS))
"""What results may be, as it is typed: a mesh, or one of SPLATS."""


def result_ending(name: str) -> str:
    """What a result's name says of its kind, in lower case: one of SPLATS, or its last ending."""
    name = name.lower()
    return next((ending for ending in SPLATS if name.endswith(ending)), f".{name.rpartition('.')[2]}" * ("." in name))


def is_video(name: str) -> bool:
    """Whether a file of that name is a video."""
    return name.lower().endswith(VIDEOS)


def raw_twins(names: Collection[str]) -> set[str]:
    """Of a folder's names, those of raw files beside a picture of the same name, which shows the same."""
    stems = {name.lower().rpartition(".")[0] for name in names if name.lower().endswith(PICTURES)}
    return {name for name in names if name.lower().endswith(RAW_PICTURES) and name.lower().rpartition(".")[0] in stems}


def is_camera_list(name: str) -> bool:
    """Whether a file of that name, which somebody has chosen, says where pictures were taken."""
    name = name.lower()
    return name.endswith((".json", _MIDDLEBURY)) or name.replace("\\", "/").rpartition("/")[2] in COLMAP_IMAGES


def camera_list_among(names: list[str]) -> str | None:
    """Which of the files of a folder says where its pictures were taken, if one does. A .json of any name may hold
    anything, so there only the usual names count."""
    known = {name.lower(): name for name in names}
    usual = [known[name] for name in _NERF if name in known]
    usual += [name for name in names if name.lower().endswith(_MIDDLEBURY)]
    usual += [known[name] for name in COLMAP_IMAGES if name in known and name.replace("images", "cameras") in known]
    return usual[0] if usual else None
