# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by the environment nerf's own Python: trains a few steps of one of nerfstudio's models on the processor.

``nerf_steps.py nerfacto|neus-facto`` prints the loss of each step. What stands in here for parts that are not there is
what the worker needs as well: LPIPS wants torchvision and fetches a network, SDFField wants tiny-cuda-nn.
"""

import sys
import types

import nerfstudio.fields.sdf_field as sdf_field
import torch
import torchmetrics.image.lpip as lpip
from nerfstudio.cameras.rays import RayBundle
from nerfstudio.data.scene_box import SceneBox
from nerfstudio.field_components.encodings import HashEncoding
from nerfstudio.models.base_model import Model
from nerfstudio.models.nerfacto import NerfactoModelConfig
from nerfstudio.models.neus_facto import NeuSFactoModelConfig

RAYS, STEPS, VIEWS = 32, 5, 4


class Unmeasured(torch.nn.Module):
    def __init__(self, normalize: bool = False) -> None:
        super().__init__()


class TorchEncoding(HashEncoding):
    """A hash grid in torch with the face of tiny-cuda-nn's."""

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


def model(name: str) -> Model:
    lpip.LearnedPerceptualImagePatchSimilarity = Unmeasured
    sdf_field.tcnn = types.SimpleNamespace(Encoding=TorchEncoding)
    few = {"num_proposal_samples_per_ray": (16, 8), "eval_num_rays_per_chunk": RAYS}
    if name == "nerfacto":
        config = NerfactoModelConfig(implementation="torch", num_nerf_samples_per_ray=8, log2_hashmap_size=12, **few)
    else:
        config = NeuSFactoModelConfig(num_neus_samples_per_ray=8, **few)
        config.sdf_field.log2_hashmap_size = 12
        config.sdf_field.inside_outside = False
    box = SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    return config.setup(scene_box=box, num_train_data=VIEWS).train()


def rays() -> RayBundle:
    """From a sphere around the scene inwards."""
    origins = 3 * torch.nn.functional.normalize(torch.randn(RAYS, 3), dim=1)
    directions = torch.nn.functional.normalize(torch.randn(RAYS, 3) * 0.3 - origins, dim=1)
    column = torch.ones(RAYS, 1)
    return RayBundle(
        origins=origins,
        directions=directions,
        pixel_area=column * 1e-4,
        camera_indices=torch.randint(0, VIEWS, (RAYS, 1)),
        nears=column,
        fars=column * 5,
        metadata={"directions_norm": column},
    )


def main() -> None:
    torch.manual_seed(0)
    trained = model(sys.argv[1])
    groups = trained.get_param_groups()
    optimizer = torch.optim.Adam([each for group in groups.values() for each in group], lr=1e-4)
    picture = {"image": torch.full((RAYS, 3), 0.25), "indices": torch.zeros(RAYS, 3, dtype=torch.long)}
    for _ in range(STEPS):
        torch.manual_seed(0)  # the same rays and samples again; the model changes a bundle of rays
        outputs = trained(rays())
        losses = trained.get_loss_dict(outputs, picture, trained.get_metrics_dict(outputs, picture))
        loss = torch.stack([each.mean() for each in losses.values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sys.stdout.write(f"loss {loss.item()}\n")


main()
