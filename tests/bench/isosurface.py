# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse against dense: our surface and scikit-image's marching cubes on the same fields and grids, in one run.

    python tests/bench/isosurface.py [--sizes 128 256 512] [--dense 256] [--network-dense 256] [--only NAME ...]
        [--folder KEEP] [--table OUT.md] [--sheet OUT.png]

Each measurement is a process of its own; its memory is what the peak lies above the moment before. The network has the
shape of TripoSR's decoder (three planes of 40 x 64 x 64, nine layers of 64) and is fitted here, in a minute, to a table
with thin legs. Dense means every sample of the grid, asked for plane by plane. On the box's border both
count nothing as inside. Deviation is the farthest that any vertex of one mesh lies from the other's vertices, edge
midpoints and face centres, in cells.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import checkout  # noqa: F401  # first: it names the package
import numpy as np
from image_to_3d.tests import render
from image_to_3d.worker.geometry.solid import is_closed
from image_to_3d.worker.geometry.surface.isosurface import isosurface
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

BATCH, STEPS = 1 << 16, 250
Value = Callable[[np.ndarray], np.ndarray]
BOX = np.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
TILT = np.linalg.qr(np.array([[3.0, 1.0, 0.3], [-1.0, 3.0, 0.5], [0.2, -0.5, 3.0]]))[0].astype(np.float32)


def sphere(points: np.ndarray, centre: tuple[float, float, float] = (0, 0, 0), radius: float = 0.7) -> np.ndarray:
    offset = points - np.float32(centre)
    return np.float32(radius) - np.sqrt(np.einsum("ij,ij->i", offset, offset))


def torus(points: np.ndarray) -> np.ndarray:
    x, y, z = (points @ TILT).T
    return np.float32(0.2) - np.hypot(np.hypot(x, y) - np.float32(0.6), z)


def box(points: np.ndarray, half: tuple[float, float, float]) -> np.ndarray:
    beyond = np.abs(points) - np.float32(half)
    return -np.linalg.norm(np.maximum(beyond, 0), axis=1) - np.minimum(beyond.max(axis=1), 0)


def plate(points: np.ndarray, size: int) -> np.ndarray:
    """1.5 cells thick."""
    return box(points @ TILT, (0.6, 0.5, 1.5 / size))


def touching(points: np.ndarray) -> np.ndarray:
    """Two balls with one point in common."""
    return np.maximum(sphere(points, (-0.31, 0.013, 0), 0.4), sphere(points, (0.49, 0.013, 0), 0.4))


def gyroid(points: np.ndarray) -> np.ndarray:
    s, c = np.sin(7.0 * points), np.cos(7.0 * points)
    return (s * c[:, [1, 2, 0]]).sum(axis=1) - np.float32(0.2)


def table(points: np.ndarray) -> np.ndarray:
    """What the network is fitted to: a distance, nowhere more than 0.3."""
    x, y, z = np.abs(points[:, 0]), np.abs(points[:, 1]), points[:, 2]
    top = box(np.stack([x, y, z - np.float32(0.22)], 1), (0.5, 0.35, 0.03))
    legs = box(np.stack([x - np.float32(0.44), y - np.float32(0.29), z + np.float32(0.15)], 1), (0.025, 0.025, 0.37))
    return np.clip(np.maximum(np.maximum(top, legs), sphere(points, (0, 0, 0.42), 0.17)), -0.3, 0.3)


def network(path: Path) -> Value:
    """A field of the size and kind of TripoSR's, fitted on the first call and kept in a file."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(2)
    torch.manual_seed(0)
    planes = torch.randn(3, 40, 64, 64) * 0.1
    widths = [120] + [64] * 9 + [4]
    layers = [torch.nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False)]
    for layer in layers:
        torch.nn.init.kaiming_normal_(layer.weight, 1.0)
    mlp = torch.nn.Sequential(*[m for layer in layers for m in (layer, torch.nn.SiLU())][:-1])

    def density(points: torch.Tensor) -> torch.Tensor:
        pairs = torch.stack([points[:, [0, 1]], points[:, [0, 2]], points[:, [1, 2]]])[:, None]
        found = F.grid_sample(planes, pairs, align_corners=False)[:, :, 0]  # (3, 40, N)
        return mlp(found.permute(2, 0, 1).reshape(len(points), 120))[:, 0]

    if path.exists():
        state = torch.load(path, weights_only=True)
        planes = state.pop("planes")
        mlp.load_state_dict(state)
    else:
        fit(density, planes, list(mlp.parameters()))
        torch.save({"planes": planes.detach(), **mlp.state_dict()}, path)

    def value(points: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return density(torch.from_numpy(points)).numpy()

    return value


def fit(density: Callable, planes: object, parameters: list) -> None:
    import torch

    rng = np.random.default_rng(0)
    adam = torch.optim.Adam([{"params": [planes.requires_grad_()], "lr": 2e-2}, {"params": parameters, "lr": 2e-3}])
    rate = torch.optim.lr_scheduler.OneCycleLR(adam, [4e-2, 4e-3], STEPS)
    for _ in range(STEPS):
        points = rng.uniform(-1, 1, (12_288, 3)).astype(np.float32)
        points[::2] *= np.float32([0.6, 0.45, 0.6])
        target = torch.from_numpy(table(points)) * 30.0
        near = 1.0 + 4.0 * torch.exp(-target.abs() / 2.0)
        loss = (near * (density(torch.from_numpy(points)) - target).abs()).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        rate.step()
    planes.requires_grad_(False)
    sys.stderr.write(f"network fitted, loss {loss.item():.3f}\n")


def field(name: str, size: int, path: Path) -> Value:
    if name == "network":
        return network(path)
    if name == "plate":
        return lambda points: plate(points, size)
    return {"sphere": sphere, "torus": torus, "touching": touching, "gyroid": gyroid}[name]


def dense(value: Value, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Every sample, then scikit-image: vertices, faces, queries."""
    line = np.linspace(-1.0, 1.0, size + 1, dtype=np.float32)
    plane = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.empty((len(plane), 3), np.float32)
    points[:, 1:] = plane
    values = np.empty((size + 1,) * 3, np.float32)
    for number, x in enumerate(line):
        points[:, 0] = x
        values[number] = value(points).reshape(size + 1, size + 1)
    for axis in range(3):
        ends = values.swapaxes(0, axis)[[0, -1]]
        values.swapaxes(0, axis)[[0, -1]] = np.where(ends > 0, -1e-3 * ends, ends)
    vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="ascent")
    return vertices * (2.0 / size) - 1.0, faces, values.size


def measure(name: str, size: int, way: str, folder: Path) -> None:
    """One measurement; the mesh goes to a file, the numbers to standard output."""
    value = field(name, size, folder / "network.pt")
    value(np.zeros((BATCH, 3), np.float32))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before, cpu, start = memory(), time.process_time(), time.perf_counter()
    if way == "dense":
        vertices, faces, queries = dense(value, size)
    else:
        found = isosurface(value, BOX, size, lambda *_: None, batch=BATCH)
        vertices, faces, queries = found.vertices, found.faces, found.queries
    seconds, cpu, peak = time.perf_counter() - start, time.process_time() - cpu, memory() - before
    np.savez(folder / f"{name}-{size}-{way}.npz", vertices=vertices, faces=faces)
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": cpu, "queries": queries, "memory": peak}) + "\n")


def memory() -> float:
    """The most that this process ever had in memory, in MB (Linux; unlike getrusage not what its parent had)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024.0


def welded(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the triangles of no area that scikit-image leaves where the surface meets a sample."""
    _, first, number = np.unique(np.round(vertices, 7), axis=0, return_index=True, return_inverse=True)
    faces = number.ravel()[faces]
    a, b, c = faces.T
    return vertices[first], faces[(a != b) & (b != c) & (c != a)]


def topology(vertices: np.ndarray, faces: np.ndarray) -> tuple[int, int, bool]:
    """Euler characteristic, parts, closed."""
    edges = np.sort(np.concatenate([faces[:, :2], faces[:, 1:], faces[:, ::2]]), axis=1).astype(np.int64)
    count = len(np.unique(edges[:, 0] * len(vertices) + edges[:, 1]))
    used = np.unique(faces)
    graph = coo_array((np.ones(len(edges)), edges.T), (len(vertices),) * 2)
    parts = len(np.unique(connected_components(graph, False)[1][used]))
    return len(used) - count + len(faces), parts, is_closed(faces)


def deviation(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], spacing: float) -> float:
    """The larger of both directions, in cells."""

    def one_way(of: tuple[np.ndarray, np.ndarray], to: tuple[np.ndarray, np.ndarray]) -> float:
        corners = to[0][to[1]]
        middles = [(corners[:, k] + corners[:, (k + 1) % 3]) / 2 for k in range(3)]
        target = cKDTree(np.concatenate([to[0], corners.mean(axis=1), *middles]))
        return float(target.query(of[0])[0].max())

    return max(one_way(a, b), one_way(b, a)) / spacing


def rows_of(name: str, size: int, ways: list[str], folder: Path) -> list[str]:
    """The lines of the table for one field at one size."""
    numbers, meshes, rows = {}, {}, []
    for way in ways:
        command = [sys.executable, __file__, "--measure", name, str(size), way, str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        numbers[way] = json.loads(done.stdout)
        with np.load(folder / f"{name}-{size}-{way}.npz") as mesh:
            meshes[way] = mesh["vertices"], mesh["faces"]
    for way, n in numbers.items():
        mesh = welded(*meshes[way]) if way == "dense" else meshes[way]
        euler, parts, closed = topology(*mesh)
        far = f"{deviation(meshes['sparse'], meshes['dense'], 2.0 / size):.3f}" if len(ways) > 1 else "-"
        faster = numbers["dense"]["seconds"] / n["seconds"] if "dense" in numbers else float("nan")
        share = 100 * n["queries"] / (size + 1) ** 3
        rows.append(
            f"| {name} {size} | {way} | {n['seconds']:.2f} | {n['cpu']:.2f} | {faster:.1f} | {n['queries']:,} "
            f"| {share:.1f} % | {n['memory']:.0f} | {len(mesh[1]):,} | {euler} | {parts} "
            f"| {'yes' if closed else 'no'} | {far} |"
        )
        sys.stdout.write(rows[-1] + "\n")
        sys.stdout.flush()
    return rows


def pictured(path: Path) -> Image.Image:
    with np.load(path) as mesh:
        vertices, faces = mesh["vertices"] @ np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]), mesh["faces"]
    shape = render.Shape(vertices, faces)
    return Image.fromarray(render.render(shape, render.orbit_view(shape, 30, 20, 360), samples=2, shading=1).colour)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--dense", type=int, default=256, help="largest size at which to go dense")
    parser.add_argument("--network-dense", type=int, default=256, help="the same for the network")
    names = ["sphere", "torus", "plate", "touching", "gyroid", "network"]
    parser.add_argument("--only", nargs="+", default=names, choices=names)
    parser.add_argument("--folder", type=Path, help="where the fitted network and the meshes are kept")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sheet", type=Path, help="pictures of the sparse meshes at the smallest size")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, size, way, folder = options.measure
        measure(name, int(size), way, Path(folder))
        return
    heads = ["field", "way", "seconds", "CPU s", "faster", "queries", "of dense", "MB", "faces", "Euler", "parts"]
    heads += ["closed", "deviation"]
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    sys.stdout.write("\n".join(lines) + "\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or temporary
        if "network" in options.only:
            network(Path(folder) / "network.pt")
        for name in options.only:
            for size in options.sizes:
                limit = options.network_dense if name == "network" else options.dense
                ways = ["dense", "sparse"] if size <= limit else ["sparse"]
                lines += rows_of(name, size, ways, Path(folder))
        if options.sheet:
            shown = [pictured(Path(folder) / f"{name}-{options.sizes[0]}-sparse.npz") for name in options.only]
            Image.fromarray(np.hstack([np.asarray(one) for one in shown])).save(options.sheet)
    if options.table:
        options.table.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
