# SPDX-License-Identifier: GPL-3.0-or-later
"""Points that can be found again in another picture, and which of two pictures' points are the same.

Must not know cameras. Points are SIFT (Lowe 2004), of affine shape (Mikolajczyk and Schmid 2004) where there are few.
COLMAP's library finds them, one picture at a time, so that a cancel is heard in between; they are compared here by one
matrix product, which measured seven to twenty times as fast on a processor as the library's comparison, with the same
rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ...pictures.load import Picture

MOST = 6000
"""At most so many points are kept per picture, the ones with the largest scale."""

SIDE = 1600
"""Points are looked for in pictures of at most this longer side: more pixels cost time and find hardly more."""

_RATIO = 0.8  # a match must be better than the next best by this (Lowe 2004)
_LARGEST_ANGLE = 0.7  # radians between descriptors of a match, COLMAP's limit
_COARSE = 640  # so many of the largest points tell whether two pictures show the same (Wu 2013)


@dataclass(frozen=True, eq=False)
class Features:
    """places: (N, 2) float64, x and y in pixels, the first pixel's middle at (0.5, 0.5), largest scale first.
    descriptors: (N, 128) uint8."""

    places: np.ndarray
    descriptors: np.ndarray

    @cached_property
    def directions(self) -> np.ndarray:
        """(N, 128) float32 descriptors of unit length."""
        values = self.descriptors.astype(np.float32)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)

    @cached_property
    def coarse(self) -> Features:
        return Features(self.places[:_COARSE], self.descriptors[:_COARSE])


class Finder:
    """Finds points in pictures with at most `threads` threads. Weak ones too if `sensitive`, for things that are
    nearly without texture. `affine` gives twice the matches of a patch that is seen from 30 degrees aside, and takes
    several times as long for each point."""

    def __init__(self, threads: int, sensitive: bool, affine: bool = False) -> None:
        import pycolmap

        pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR.value  # it writes a line for each step otherwise
        options = pycolmap.FeatureExtractionOptions(num_threads=threads, use_gpu=False)
        options.sift.max_num_features = MOST
        options.sift.estimate_affine_shape = affine
        if sensitive:
            options.sift.peak_threshold /= 5.0
            options.sift.edge_threshold = 20.0
        self._matrix_of = pycolmap.keypoints_to_matrix
        self._extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)

    def find(self, picture: Picture) -> Features:
        """The points of a picture; of one with transparency, those on the thing only."""
        grey = Image.fromarray(picture.on_backdrop()).convert("L")
        scale = max(1.0, max(grey.size) / SIDE)
        small = grey.resize([round(side / scale) for side in grey.size], Image.Resampling.BOX) if scale > 1.0 else grey
        keypoints, descriptors = self._extractor.extract_from_uint8_array(np.asarray(small))
        matrix = self._matrix_of(keypoints).reshape(-1, 4)
        matrix[:, :2] *= np.array(grey.size) / small.size
        order = np.argsort(-matrix[:, 2], kind="stable")
        if picture.alpha is not None:
            column, row = matrix[order, :2].astype(np.intp).T
            height, width = picture.alpha.shape
            order = order[picture.alpha[row.clip(0, height - 1), column.clip(0, width - 1)] >= 128]
        order = order[:MOST]  # the library's own limit lets many more through
        return Features(matrix[order, :2].astype(np.float64), descriptors.data.reshape(-1, 128)[order])


def matches(first: Features, second: Features) -> np.ndarray:
    """(M, 2) uint32: which points of the first are which of the second; each is the other's best, and clearly so."""
    if len(first.places) < 2 or len(second.places) < 2:
        return np.zeros((0, 2), np.uint32)
    return clear_pairs(first.directions @ second.directions.T, _LARGEST_ANGLE, _RATIO).astype(np.uint32)


def clear_pairs(likeness: np.ndarray, largest_angle: float, ratio: float) -> np.ndarray:
    """(M, 2) int64: rows and columns of likeness (N, K), cosines, that are each other's best, and clearly so.

    largest_angle: radians of a pair. ratio: of a row's best angle and its next best. likeness is written to.
    """
    best, back, number = likeness.argmax(1), likeness.argmax(0), np.arange(len(likeness))
    angle = np.arccos(likeness[number, best].clip(-1.0, 1.0))
    likeness[number, best] = -1.0
    next_best = np.arccos(likeness.max(1).clip(-1.0, 1.0))
    sure = (back[best] == number) & (angle < largest_angle) & (angle < ratio * next_best)
    return np.stack([number[sure], best[sure]], 1)
