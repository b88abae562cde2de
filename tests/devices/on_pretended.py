# SPDX-License-Identifier: GPL-3.0-or-later
"""One method's whole path on a device that is not there: `python on_pretended.py TOOL KIND WHAT FOLDER`.

TOOL is the folder of pretend.py, which must be imported before torch; so each path is a process of its own. Prints one
line of JSON.
"""

import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL, KIND, WHAT, FOLDER = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
sys.path.insert(0, TOOL)
import pretend  # noqa: E402

sys.argv = sys.argv[:1]
sys.modules["image_to_3d"] = importlib.util.module_from_spec(
    importlib.util.spec_from_file_location("image_to_3d", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
)

import numpy as np  # noqa: E402
import torch  # noqa: E402
from image_to_3d.tests.methods import asked, ball  # noqa: E402
from image_to_3d.worker.core.errors import OutOfMemory  # noqa: E402
from image_to_3d.worker.core.job import Job  # noqa: E402
from image_to_3d.worker.methods.method import LOADED  # noqa: E402
from image_to_3d.worker.methods.runtime import memory  # noqa: E402
from image_to_3d.worker.methods.triposg import network  # noqa: E402
from image_to_3d.worker.pictures.load import Picture  # noqa: E402
from image_to_3d.worker.store.weights import WeightStore  # noqa: E402

GB = 1 << 30


def picture() -> Picture:
    rows, columns = np.mgrid[:160, :160]
    inside = (rows - 80) ** 2 + (columns - 80) ** 2 < 45**2
    rgb = np.stack([40 + rows, 40 + columns, np.full_like(rows, 90)], 2).astype(np.uint8)
    return Picture(rgb, np.uint8(255) * inside, None, "d", "p")


def made(network: str, **options) -> dict:
    """A run on the device: what it gave, and the device's memory after all was let go."""
    import dataclasses

    weights = WeightStore(FOLDER)
    task = dataclasses.replace(asked.task(network, weights, picture(), **options), device=KIND)
    found = asked.run(task)
    arrays = found.to_arrays()
    if hasattr(found, "value"):
        found.value(np.zeros((5, 3), np.float32))
    numbers = {name: a for name, a in arrays.items() if a.dtype.kind == "f"}
    finite = all(np.isfinite(a).all() for name, a in numbers.items() if not name.startswith("depth"))  # inf: nothing
    peak = pretend.STATE.peak
    del found, task
    LOADED.unload()
    return {"finite": bool(finite), "peak": peak, "alive": pretend.STATE.alive}


def with_a_gradient(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Attention as network._joined gives it: the tool's own has no gradient."""
    if not torch.is_grad_enabled():
        return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    share = ((q @ k.transpose(-1, -2)) / q.shape[-1] ** 0.5).softmax(-1)
    return (share @ v).transpose(1, 2).flatten(2)


def refined(name: str) -> dict:
    """A coarse shape refined there, guided by what a camera saw of it, in half precision as on a real card."""
    from image_to_3d.worker.methods.triposg import files, refiner

    network._joined = with_a_gradient
    layout = {"triposg": files.TRIPOSG, "detailgen3d": files.DETAILGEN3D}[name]
    loaded = refiner.load(FOLDER / name, KIND, layout)
    ball = np.random.default_rng(0).normal(size=(300, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    fan = np.array([(i, i + 1, i + 2) for i in range(298)])  # a surface of sorts: only its points are looked at
    seen = refiner.Seen(ball[ball[:, 2] > 0.3], np.array([0.0, 0.0, 4.0]))
    wishes, job = refiner.Wishes(steps=4, strength=0.75), Job(lambda *_: None)
    arrays = loaded(refiner.Coarse(ball, fan), picture().rgb, wishes, seen, job)
    field = refiner.field(arrays, KIND)
    finite = all(np.isfinite(a).all() for a in arrays.values()) and np.isfinite(field.value(np.float32(ball))).all()
    peak = pretend.STATE.peak
    del loaded, field
    memory.release()
    return {"finite": bool(finite), "peak": peak, "alive": pretend.STATE.alive}


def training(device: str) -> tuple[np.ndarray, dict]:
    from image_to_3d.worker.methods.multiview_fit import grid_training
    from image_to_3d.worker.methods.multiview_fit.grid_training import Plan, Stage

    plan = Plan(31, 256, (Stage("density", 12, 15), Stage("surface", 16, 15)))  # 31: no size divides another
    shown: list[np.ndarray] = []
    from image_to_3d.worker.methods.multiview_fit import training as common

    common.PREVIEW_SECONDS = 0.0
    job = Job(lambda *_: None)
    trained = grid_training.train(ball.capture(), plan, job, torch.device(device), shown.append)
    return trained.model.colours.cpu().numpy(), {"previews": len(shown), "psnr": trained.psnr}


def splats() -> dict:
    """A ball that is cut out, as splats."""
    from image_to_3d.worker.methods.multiview_fit.splats import learn

    plan = learn.Plan((24,), (60,), 600, 1, 32)
    found = learn.learn(ball.capture(), plan, Job(lambda *_: None), torch.device(KIND))
    told = {"psnr": found.psnr, "count": len(found.splats), "peak": pretend.STATE.peak}
    del found
    memory.release()
    return {**told, "alive": pretend.STATE.alive}


def engine(name: str) -> dict:
    """One of nerfstudio's, on a ball that is cut out."""
    from image_to_3d.worker.methods.multiview_fit import grid_result, nerfstudio_training
    from image_to_3d.worker.methods.multiview_fit.nerfstudio_fields import Sizes

    plan = nerfstudio_training.Plan(23, 256, 12, 32, Sizes((24, 16, 12), 11, 64, 16))
    trained = nerfstudio_training.train(ball.capture(), name, plan, Job(lambda *_: None), torch.device(KIND))
    field = grid_result.field(trained.model)
    value = field.value(np.zeros((5, 3), np.float32))
    return {"finite": bool(np.isfinite(value).all()), "psnr": trained.psnr, "peak": pretend.STATE.peak}


def with_a_mask(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask=None, **_) -> torch.Tensor:
    """Attention as torch gives it: the tool's own takes no mask from the device."""
    shares = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if attn_mask is not None:
        shares = shares.masked_fill(~attn_mask, -1e9) if attn_mask.dtype == torch.bool else shares + attn_mask
    return shares.softmax(-1) @ value


def noised(scheduler, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """What diffusers' flow scheduler gives: the tool knows no index that is a list."""
    share = scheduler.sigmas[scheduler.index_for_timestep(timestep.reshape(-1)[0])].to(sample.dtype)
    return share * noise + (1.0 - share) * sample


def numbers(data: object) -> object:
    return [float(each) for each in data] if isinstance(data, list) and any(map(torch.is_tensor, data)) else data


def repainted(fits: bool) -> dict:
    """A render painted anew there, by networks that are on the device at once or block by block."""
    from diffusers import FlowMatchEulerDiscreteScheduler
    from image_to_3d.worker.methods import repaint
    from image_to_3d.worker.methods.repaint import painter

    torch.nn.functional.scaled_dot_product_attention = with_a_mask
    FlowMatchEulerDiscreteScheduler.scale_noise = noised
    tensor = torch.tensor  # nor a list with its numbers
    torch.tensor = lambda data, *given, **more: tensor(numbers(data), *given, **more)
    torch.empty_like = torch.zeros_like  # transformers fills its buffers later, which the tool leaves as memory was
    if not fits:
        memory.fits = lambda *_: False
    folder = FOLDER / "flux2-klein"
    loaded = painter.load(repaint.named(str(folder)), folder, KIND)
    loaded.side = 64
    render = picture().rgb
    made = loaded.repaint(render, np.ones(render.shape[:2], bool), [render], 1.0, 0, Job(lambda *_: None))
    peak = pretend.STATE.peak
    del loaded
    memory.release()
    return {"finite": bool(made.std() > 0.0), "peak": peak, "alive": pretend.STATE.alive}


def refused() -> dict:
    try:
        memory.require(torch.device(KIND), 100 * GB, {})
    except OutOfMemory as error:
        return {"message": str(error), "free": error.free}
    return {}


def full(text: str) -> dict:
    held = torch.zeros(1 << 20, device=KIND)
    try:
        with memory.guard(torch.device(KIND)):
            raise RuntimeError(text)
    except OutOfMemory as error:
        return {"message": str(error), "free": error.free, "held": len(held), "calls": dict(pretend.STATE.calls)}


def main() -> dict:
    if WHAT == "photos":
        on_cpu = None if KIND == "none" else training("cpu")[0]
        with pretend.on(KIND):
            colours, told = training(KIND)
        return {**told, "difference": float(np.abs(colours - on_cpu).max())}
    with pretend.on(KIND):
        if WHAT == "refused":
            return refused()
        if WHAT == "full":
            text = {"cuda": "CUDA out of memory. Tried to allocate 2 GiB", "mps": "MPS backend out of memory (MPS ...)"}
            return full(text[KIND])
        if WHAT.startswith("refined "):
            return refined(WHAT.removeprefix("refined "))
        if WHAT == "splats":
            return splats()
        if WHAT.startswith("repainted "):
            return repainted(WHAT == "repainted whole")
        if WHAT in ("nerfacto", "neus-facto"):
            return engine(WHAT)
        if WHAT == "pool":
            from image_to_3d.worker.methods.multiview_fit.grid_space import _averaged

            return {"shape": list(_averaged(torch.rand(31, 17, 3).to(KIND), (7, 5)).shape)}
        steps = {"steps": 2} if WHAT in ("triposg", "shap-e", "included-generator") else {}
        if WHAT in ("hybrid-triposg", "hybrid-detailgen3d"):
            network._joined, steps = with_a_gradient, {"steps": 4}
        return made(WHAT, **steps)


print(json.dumps(main()))
