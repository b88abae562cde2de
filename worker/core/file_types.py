# SPDX-License-Identifier: GPL-3.0-or-later
"""What files can be given, by the endings of their names in lower case. Standard library only: both sides know them."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif", ".gif")
PICTURES += (".jfif", ".jpe", ".hif", ".dng", ".hdr")

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".3gp", ".wmv")

IMAGE_FOLDERS = ("images", "image", "input", "photos", "frames", "rgb")
"""Names that programs for photogrammetry (COLMAP, nerfstudio, Gaussian splatting) give a project's folder of photos."""

MASK_MARKS = ("_mask", ".mask", "-mask")
"""How the names of masks end, before their ending, beside the photos that they belong to."""

CAMERA_LISTS = (".json", "_par.txt")
"""Of files that say where the pictures beside them were taken: transforms.json and its like, Middlebury's list."""


def is_camera_list(name: str) -> bool:
    """Whether a file of that name lists cameras."""
    return name.lower().endswith(CAMERA_LISTS)
