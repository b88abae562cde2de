# SPDX-License-Identifier: GPL-3.0-or-later
"""nerfstudio's fields with what renders and regularises them: nerfacto and neus-facto, built from its parts.

nerfacto (Tancik et al. 2023, arXiv:2302.04264) is a density, neus-facto a signed distance rendered as NeuS does
(arXiv:2106.10689); in both, small density networks propose where to look along a ray (mip-NeRF 360, arXiv:2111.12077).
Both are built here from fields, samplers, renderers and losses, not by nerfstudio's own models, which load an image
metric's network when they are built. Everything is torch's: tiny-cuda-nn is not needed.

The space is nerfstudio's: what is sought lies in the cube from -1 to 1, and where there is more around it, all of
space is contracted to the cube from -2 to 2. Works on any device. Imported on use, where nerfstudio is installed; must
not know pictures, files or how the numbers are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from nerfstudio.cameras.rays import Frustums, RayBundle, RaySamples
from nerfstudio.field_components.encodings import HashEncoding
from nerfstudio.field_components.field_heads import FieldHeadNames
from nerfstudio.field_components.spatial_distortions import SceneContraction
from nerfstudio.fields import sdf_field
from nerfstudio.fields.density_fields import HashMLPDensityField
from nerfstudio.fields.nerfacto_field import NerfactoField
from nerfstudio.model_components import losses
from nerfstudio.model_components.ray_samplers import (
    LinearDisparitySampler,
    ProposalNetworkSampler,
    SpacedSampler,
    UniformSampler,
)
from nerfstudio.model_components.renderers import AccumulationRenderer, DepthRenderer, RGBRenderer
from torch import Tensor, nn

FAR = 1000.0  # where space ends, in distances between the cameras and the cube
_DISTORTION, _EIKONAL = 0.002, 0.1  # weights beside the colours' error, nerfstudio's own (mip-NeRF 360, NeuS)
_APPEARANCE = 32  # numbers per picture for its exposure, where it was not cut out
_SETTLED = 0.1  # share of the training after which the proposals are followed to the letter
_UPDATED = 5  # steps between two lessons of the proposal networks, once they know what they do
_OUTSIDE = 32  # samples behind the cube
_CANDIDATES = 24  # levels of a density that are tried


@dataclass(frozen=True)
class Sizes:
    """Of the networks. samples: per ray for the two proposals and the field. bits: 2 to their power are the numbers of
    rows of a hash table. finest: cells along the cube at the finest of its levels. hidden: width of the layers."""

    samples: tuple[int, int, int] = (256, 96, 48)
    bits: int = 19
    finest: int = 2048
    hidden: int = 64


@dataclass(frozen=True, eq=False)
class Bundle:
    """Rays. origin, direction: (R, 3), unit directions. near, far: (R,) between which they are looked along; where
    far <= near, the ray misses the cube. picture: (R,) int64, which one each belongs to."""

    origin: Tensor
    direction: Tensor
    near: Tensor
    far: Tensor
    picture: Tensor

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, index: Tensor | slice) -> Bundle:
        return Bundle(*(values[index] for values in vars(self).values()))

    def of_nerfstudio(self) -> RayBundle:
        column = torch.ones_like(self.near)[:, None]
        ends = torch.maximum(self.far, self.near + 1e-4)
        return RayBundle(
            origins=self.origin,
            directions=self.direction,
            pixel_area=column,
            camera_indices=self.picture[:, None],
            nears=self.near[:, None],
            fars=ends[:, None],
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """colour: (R, 3) what the field adds to each ray. opacity: (R,) how much of what is behind it hides. penalty: what
    to add to the error of the colours, while training."""

    colour: Tensor
    opacity: Tensor
    penalty: Tensor


class _Hash(HashEncoding):
    """A hash grid of torch with the face of tiny-cuda-nn's, which nerfstudio's SDFField asks for."""

    def __init__(self, n_input_dims: int, encoding_config: dict) -> None:
        levels, coarsest = encoding_config["n_levels"], encoding_config["base_resolution"]
        super().__init__(
            num_levels=levels,
            min_res=coarsest,
            max_res=round(coarsest * encoding_config["per_level_scale"] ** (levels - 1)),
            log2_hashmap_size=encoding_config["log2_hashmap_size"],
            features_per_level=encoding_config["n_features_per_level"],
            implementation="torch",
        )
        self.n_output_dims = self.get_out_dim()


class _Proposing(nn.Module):
    """What both have in common: networks that propose where to look.

    colour_error: how found colours are compared with true ones. warm: share of the training until the full rate of
    learning. looks_to_infinity: whether the field itself is what is around the cube, too.
    """

    def __init__(self, sizes: Sizes, contraction: SceneContraction | None, initial: SpacedSampler) -> None:
        super().__init__()
        bits = min(17, sizes.bits)
        self.proposals = nn.ModuleList(
            HashMLPDensityField(
                _cube(),
                hidden_dim=16,
                num_levels=5,
                max_res=finest,
                log2_hashmap_size=bits,
                spatial_distortion=contraction,
                implementation="torch",
            )
            for finest in (min(128, sizes.finest), min(256, sizes.finest))
        )
        *proposed, last = sizes.samples
        self._share = 0.0
        self.sampler = ProposalNetworkSampler(
            tuple(proposed), last, len(proposed), True, lambda step: self._pause(), initial
        )

    def begin(self, step: int, share: float) -> None:
        """Before each step of the training, of which `share` is done."""
        self._share = share
        settled = min(1.0, share / _SETTLED)
        self.sampler.set_anneal(10.0 * settled / (9.0 * settled + 1.0))  # mip-NeRF 360, eq. 18
        self.sampler.step_cb(step)

    def _pause(self) -> float:
        return max(1.0, _UPDATED * min(1.0, self._share / (2.0 * _SETTLED)))

    def _sampled(self, rays: RayBundle) -> tuple[RaySamples, list[Tensor], list[RaySamples]]:
        return self.sampler(rays, density_fns=[network.density_fn for network in self.proposals])


class Nerfacto(_Proposing):
    """A density with colours. around: whether there is more than what lies in the cube. distance: between the cameras
    and the cube's far side, which the samples of rays out to infinity are spread after."""

    colour_error, warm, looks_to_infinity = nn.MSELoss(), 0.0, True

    def __init__(self, sizes: Sizes, pictures: int, around: bool, distance: float) -> None:
        contraction = SceneContraction(order=float("inf")) if around else None
        super().__init__(sizes, contraction, _to_infinity(distance) if around else UniformSampler(single_jitter=True))
        self._around = around
        self.field = _nerfacto_field(sizes, pictures, contraction)

    def groups(self) -> list[dict]:
        """Parameters for an optimizer, with their rates of learning."""
        return [{"params": list(self.parameters()), "lr": 1e-2}]

    def seen(self, rays: Bundle) -> Seen:
        samples, weights, asked = self._sampled(rays.of_nerfstudio())
        found = self.field(samples)
        own = samples.get_weights(found[FieldHeadNames.DENSITY])
        behind = "last_sample" if self._around else "random"  # which adds nothing
        colour = RGBRenderer.combine_rgb(found[FieldHeadNames.RGB], own, behind)
        penalty = colour.new_zeros(())
        if self.training:
            weights, asked = [*weights, own], [*asked, samples]
            spread = losses.distortion_loss(weights, asked)
            penalty = losses.interlevel_loss(weights, asked) + _DISTORTION * spread
        return Seen(colour, AccumulationRenderer.forward(own)[:, 0], penalty)

    @torch.no_grad()
    def level(self, rays: Bundle) -> float:
        """The density at whose level the surface lies nearest to where half of the rays' light is gone."""
        samples, _, _ = self._sampled(rays.of_nerfstudio())
        density, _ = self.field.get_density(samples)
        weights = samples.get_weights(density)
        stopped = (weights.sum((1, 2)) > 0.5).nonzero()[:, 0]
        if not len(stopped):
            return float(density.max())
        samples, density, weights = samples[stopped], density[stopped][..., 0], weights[stopped]
        gone = DepthRenderer("median")(weights, samples)
        middle = ((samples.frustums.starts + samples.frustums.ends) / 2.0)[..., 0]
        there = density.gather(1, torch.searchsorted(middle, gone).clamp(max=middle.shape[1] - 1))[:, 0]
        levels = there.quantile(torch.linspace(0.02, 0.9, _CANDIDATES, device=there.device))
        errors = [(_first(density > level, middle) - gone[:, 0]).abs().mean() for level in levels]
        return float(levels[int(torch.stack(errors).argmin())])

    def value(self, points: Tensor) -> Tensor:
        """(N,) logarithm of the density at points (N, 3)."""
        return self.field.density_fn(points)[:, 0].clamp(min=1e-9).log()

    def colours(self, points: Tensor, direction: Tensor) -> Tensor:
        """(N, 3) sRGB of points (N, 3) seen along unit directions (N, 3)."""
        return self.field(_at(points, direction))[FieldHeadNames.RGB]


class NeusFacto(_Proposing):
    """A signed distance with colours; with more around it, a nerfacto field behind the cube."""

    colour_error, warm, looks_to_infinity = nn.L1Loss(), 0.02, False

    def __init__(self, sizes: Sizes, pictures: int, around: bool, distance: float) -> None:
        contraction = SceneContraction(order=float("inf"))
        super().__init__(sizes, contraction, UniformSampler(single_jitter=True))
        sdf_field.tcnn = SimpleNamespace(Encoding=_Hash)
        config = sdf_field.SDFFieldConfig(
            use_grid_feature=True,
            num_layers=2,
            num_layers_color=2,
            hidden_dim=4 * sizes.hidden,
            hidden_dim_color=4 * sizes.hidden,
            geo_feat_dim=4 * sizes.hidden,
            bias=0.5,
            beta_init=0.3,
            inside_outside=False,
            max_res=sizes.finest,
            log2_hashmap_size=sizes.bits,
        )
        self.field = config.setup(aabb=_cube(), num_images=pictures, spatial_distortion=contraction)
        self.field.aabb.requires_grad_(False)
        self.behind = _nerfacto_field(sizes, pictures, contraction) if around else None
        self._beyond = LinearDisparitySampler(num_samples=_OUTSIDE)
        self._end = FAR * distance

    def groups(self) -> list[dict]:
        """Parameters for an optimizer, with their rates of learning."""
        fast = [*self.proposals.parameters(), *(self.behind.parameters() if self.behind else ())]
        return [{"params": fast, "lr": 1e-2}, {"params": list(self.field.parameters()), "lr": 1e-3}]

    def begin(self, step: int, share: float) -> None:
        super().begin(step, share)
        self.field.set_cos_anneal_ratio(min(1.0, 2.0 * share))  # NeuS: lest slopes of the wrong sign are not heard

    def seen(self, rays: Bundle) -> Seen:
        samples, weights, asked = self._sampled(rays.of_nerfstudio())
        found = self.field(samples, return_alphas=True)
        hit = (rays.far > rays.near)[:, None, None]
        own, left = samples.get_weights_and_transmittance_from_alphas(found[FieldHeadNames.ALPHA] * hit)
        colour = RGBRenderer.combine_rgb(found[FieldHeadNames.RGB], own, "random")
        opacity = AccumulationRenderer.forward(own)[:, 0]
        if self.behind is not None:
            colour, opacity = colour + left[:, -1] * self._backdrop(rays), torch.ones_like(opacity)
        penalty = colour.new_zeros(())
        if self.training:
            slope = found[FieldHeadNames.GRADIENT].norm(dim=-1)
            penalty = losses.interlevel_loss([*weights, own], [*asked, samples])
            penalty = penalty + _EIKONAL * (slope - 1.0).square().mean()
        return Seen(colour, opacity, penalty)

    def level(self, rays: Bundle) -> float:
        """A distance is zero on its surface."""
        return 1.0

    def value(self, points: Tensor) -> Tensor:
        """(N,) distance to the surface of points (N, 3), negative outside."""
        return -self.field.forward_geonetwork(points)[:, 0]

    def colours(self, points: Tensor, direction: Tensor) -> Tensor:
        """(N, 3) sRGB of points (N, 3) seen along unit directions (N, 3)."""
        return self.field(_at(points, direction))[FieldHeadNames.RGB].detach()

    def _backdrop(self, rays: Bundle) -> Tensor:
        begin = torch.maximum(rays.far, rays.near)
        behind = Bundle(rays.origin, rays.direction, begin, torch.full_like(begin, self._end), rays.picture)
        samples = self._beyond(behind.of_nerfstudio())
        found = self.behind(samples)
        weights = samples.get_weights(found[FieldHeadNames.DENSITY])
        return RGBRenderer.combine_rgb(found[FieldHeadNames.RGB], weights, "last_sample")


def _cube() -> Tensor:
    return torch.tensor([[-1.0] * 3, [1.0] * 3])


def _nerfacto_field(sizes: Sizes, pictures: int, contraction: SceneContraction | None) -> NerfactoField:
    return NerfactoField(
        _cube(),
        pictures,
        hidden_dim=sizes.hidden,
        hidden_dim_color=sizes.hidden,
        max_res=sizes.finest,
        log2_hashmap_size=sizes.bits,
        use_average_appearance_embedding=True,
        appearance_embedding_dim=_APPEARANCE if contraction else 0,
        average_init_density=0.01 if contraction else 1.0,
        spatial_distortion=contraction,
        implementation="torch",
    )


def _to_infinity(distance: float) -> SpacedSampler:
    """Half of the samples evenly up to a distance, the others evenly in disparity."""
    return SpacedSampler(
        lambda x: torch.where(x < distance, x / (2.0 * distance), 1.0 - distance / (2.0 * x)),
        lambda s: torch.where(s < 0.5, 2.0 * distance * s, distance / (2.0 - 2.0 * s)),
        single_jitter=True,
    )


def _at(points: Tensor, direction: Tensor) -> RaySamples:
    """Points as nerfstudio's fields want to be asked for them."""
    none = torch.zeros_like(points[:, :1])
    frustums = Frustums(origins=points, directions=direction, starts=none, ends=none, pixel_area=none)
    return RaySamples(frustums=frustums, camera_indices=none.long())


def _first(dense: Tensor, middle: Tensor) -> Tensor:
    """(R,) where along each ray it is dense at first, the ray's end where nowhere. Both (R, S)."""
    index = dense.float().argmax(1, keepdim=True)
    return torch.where(dense.any(1), middle.gather(1, index)[:, 0], middle[:, -1])
