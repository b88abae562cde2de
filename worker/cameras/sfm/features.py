# SPDX-License-Identifier: GPL-3.0-or-later
"""Keypoints that can be found again in another picture, and their descriptors.

Must not know cameras. They are SIFT (Lowe 2004), of affine shape (Mikolajczyk and Schmid 2004) where there are few.
COLMAP's library finds them, one picture at a time, so that a cancel is heard in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from ...pictures.load import Picture
from .colmap import library

MOST = 6000
"""At most so many keypoints are kept per picture, the ones with the largest scale: matching takes their square."""

SIDE = 1600
"""Keypoints are detected in pictures of at most this longer side: more pixels cost time and find hardly more."""

_COARSE = 640  # so many of the largest keypoints tell whether two pictures show the same (Wu 2013: some hundred)


@dataclass(frozen=True, eq=False)
class Features:
    """keypoints: (N, 2) float64, x and y in pixels, the first pixel's middle at (0.5, 0.5), largest scale first.
    descriptors: (N, 128) uint8."""

    keypoints: np.ndarray
    descriptors: np.ndarray

    @cached_property
    def directions(self) -> np.ndarray:
        """(N, 128) float32 descriptors of unit length."""
        values = self.descriptors.astype(np.float32)
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)

    @cached_property
    def coarse(self) -> Features:
        return Features(self.keypoints[:_COARSE], self.descriptors[:_COARSE])


class Detector:
    """Finds keypoints in pictures with at most `threads` threads. Weak ones too if `sensitive`, for things that are
    nearly without texture. `affine` gives twice the matches of a patch that is seen from 30 degrees aside, and takes
    several times as long for each keypoint."""

    def __init__(self, threads: int, sensitive: bool, affine: bool = False) -> None:
        pycolmap = library()
        options = pycolmap.FeatureExtractionOptions(num_threads=threads, use_gpu=False)
        options.sift.max_num_features = MOST
        options.sift.estimate_affine_shape = affine
        if sensitive:
            options.sift.peak_threshold /= 5.0
            options.sift.edge_threshold = 20.0
        self._matrix_of = pycolmap.keypoints_to_matrix
        self._extractor = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)

    def detect(self, picture: Picture) -> Features:
        """The keypoints of a picture; of one with transparency, those on the thing only."""
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
