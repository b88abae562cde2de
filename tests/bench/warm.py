# SPDX-License-Identifier: GPL-3.0-or-later
"""What one more thing costs a warm worker, and a program started for it: CPU seconds, beside another checkout's.

    OMP_NUM_THREADS=1 python tests/bench/warm.py [--against CHECKOUT] [--preset fast] [--runs 5]
                                                 [--cases PICTURE:NETWORK ...]

Both are asked by turns in one run, since a busy machine makes both slower: their ratio counts. Of the runs the least is
told. Nothing is kept. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout

EXAMPLES = checkout.ROOT / "docs" / "examples"
CASES = (
    f"{EXAMPLES / 'room.jpg'}:included",
    f"{EXAMPLES / 'robot.png'}:included-object",
    f"{EXAMPLES / 'robot.png'}:included-generator",
)


class Warm:
    """A worker of a checkout."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.asked = root, folder, 0
        self.variables = _as_anywhere({**os.environ, "IMAGE_TO_3D_HOME": str(folder)}, folder)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([sys.executable, "-m", "worker"], cwd=root, env=self.variables, **pipes)
        version = re.search(r"^VERSION = (\d+)", (root / "worker" / "wire" / "protocol.py").read_text(), re.MULTILINE)
        self.ask("initialize", {"version": int(version[1]), "device": "cpu"})

    def ask(self, method: str, params: dict) -> dict:
        """Raises SystemExit where it is refused."""
        self.asked += 1
        line = {"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()
        while "method" in (answer := json.loads(self.process.stdout.readline())):
            pass
        if "error" in answer:
            raise SystemExit(answer["error"]["message"])
        return answer["result"]

    def spent(self, picture: str, network: str, preset: str) -> float:
        """CPU seconds of one more thing."""
        before = self._seconds()
        made = {"pictures": [picture], "output": str(self.folder / "out.glb"), "preset": preset, "network": network}
        self.ask("generate", {**made, "cached": False})
        return self._seconds() - before

    def started(self, picture: str, network: str, preset: str) -> float:
        """CPU seconds from the start of a program to the file."""
        before = _of_children()
        command = [sys.executable, "-m", "worker", "generate", picture, "--model", network, "--preset", preset]
        command += ["--included", "--no-cache", "--device", "cpu", "-o", str(self.folder / "out.glb")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, cwd=self.root, env=self.variables, check=True, **quiet)
        return _of_children() - before

    def _seconds(self) -> float:
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(30.0)


def _as_anywhere(variables: dict[str, str], folder: Path) -> dict[str, str]:
    """The variables with which Python keeps what it compiled, as it does unless told otherwise; in a folder of its own,
    where the first run leaves it."""
    kept = {name: value for name, value in variables.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="PICTURE:NETWORK")
    asked = parser.parse_args()
    roots = [checkout.ROOT, *([asked.against.resolve()] if asked.against else [])]
    with tempfile.TemporaryDirectory() as folder:
        workers = []
        for number, root in enumerate(roots):
            (own := Path(folder) / str(number)).mkdir()
            workers.append(Warm(root, own))
        for case in asked.cases:
            picture, _, network = case.rpartition(":")
            picture = str(Path(picture).resolve())
            for what, times in (("warm", asked.runs), ("from the start", max(asked.runs // 2, 1))):
                way = Warm.spent if what == "warm" else Warm.started
                rows = [[way(each, picture, network, asked.preset) for each in workers] for _ in range(times + 1)][1:]
                least = [min(column) for column in zip(*rows)]
                ratio = f", {least[1]:.2f} there: {least[1] / least[0]:.2f} times" if asked.against else ""
                print(f"{Path(picture).name} {network} {asked.preset}, {what}: {least[0]:.2f} CPU s{ratio}", flush=True)
        for each in workers:
            each.end()


if __name__ == "__main__":
    main()
