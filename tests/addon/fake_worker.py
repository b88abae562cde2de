# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that does what its script says: `python fake_worker.py SCRIPT.json`. Standard library only.

The script maps a method to a list of steps; after the last one the request is answered. Steps:
    {"progress": [fraction, stage, message, seconds left]} (the last two may be missing)   {"result": {...}}
    {"error": [code, message, data]}   {"print": "garbage"}   {"stderr": bytes}   {"die": exit code or -signal}
    {"wait": "cancel" | "enough" | "ever" | "deaf"}   {"preview": path}   {"touch": path}
    {"coarse": path} (copies a GLB beside the one to be made, and tells of it as of a first guess)
    {"write": "text"} and {"copy": path} (make the GLB)   {"wait_for": name of a file beside the script}
    {"shipped": true} (offers what the product does)   {"as_asked": true} (tells a provenance of what was asked for)
    {"spawn": path of a file that gets the pid of a grandchild which holds the pipe}
`deaf` ignores cancel, end of stdin and SIGTERM. Each request is noted as a line of JSON in SCRIPT.json.requests.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

OFFERED = {
    "version": 1,
    "worker": "fake",
    "methods": [
        {
            "name": "depth",
            "label": "Depth",
            "category": "Depth",
            "help": "",
            "pictures": "one",
            "cut_out": False,
            "makes": "DepthMap",
            "networks": [
                {
                    "name": "included",
                    "label": "Included",
                    "licence": "GPL-3.0-or-later",
                    "commercial": True,
                    "bytes": 0,
                    "here": True,
                    "source": "included",
                },
                {
                    "name": "big",
                    "label": "Big",
                    "licence": "Apache-2.0",
                    "commercial": True,
                    "bytes": 1000,
                    "here": False,
                    "source": "https://example.org/big",
                },
            ],
            "options": [],
            "presets": {"fast": {}, "balanced": {}},
        }
    ],
}
DONE = {
    "name": "picture",
    "method": "depth",
    "network": "included",
    "vertices": 4,
    "faces": 2,
    "seconds": {"depth": 0.5},
    "from_cache": False,
}
PROVENANCE = {
    "pictures": ["/pictures/a.png"],
    "digests": ["0" * 64],
    "category": "Depth",
    "method": "depth",
    "network": "included",
    "label": "Included",
    "licence": "GPL-3.0-or-later",
    "revision": "1",
    "preset": "fast",
    "options": {},
    "version": "1.0.0",
    "date": "2026-01-01T00:00:00+00:00",
}
KEPT = {"name": "picture", "faces": 2, "seconds": 1.5, "bytes": 1000, "provenance": PROVENANCE}
HISTORY = {"entries": [{**KEPT, "key": key} for key in ("k2", "k1")], "bytes": 2000, "limit": 10_000}
ESTIMATES = [{"preset": name, "seconds": 4.0, "faces": 1000, "texture": 512} for name in ("fast", "balanced")]


def send(body: dict) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **body}) + "\n")
    sys.stdout.flush()


def ignore_all() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)  # until it is killed


def result_of(request: dict) -> dict:
    match request["method"]:
        case "initialize":
            return {**OFFERED, "version": request["params"]["version"]}
        case "generate":
            return {**DONE, "glb": request["params"]["output"]}
        case "refine" | "improve" as method:
            named = {"name": "picture", "method": method, "network": ""}
            return {**DONE, **named, "glb": request["params"]["output"]}
        case "select":
            return {"method": "depth", "network": request["params"]["network"] or "included"}
        case "catalogue":
            return {"methods": OFFERED["methods"]}
        case "estimate":
            return {"presets": ESTIMATES, "memory": 2_000_000_000}
        case "history":
            return HISTORY
        case "history/fetch":
            return {**DONE, "glb": request["params"]["output"], "from_cache": True, "key": request["params"]["key"]}
        case "history/remove":
            left = [each for each in HISTORY["entries"] if each["key"] not in request["params"]["keys"]]
            return {**HISTORY, "entries": [] if request["params"]["everything"] else left}
        case "networks/download":
            return {"network": request["params"]["network"], "bytes": 1000}
    return {}


def run(request: dict, steps: list[dict], cancels: "queue.Queue[int]") -> None:
    number = request["id"]
    with Path(f"{sys.argv[1]}.requests").open("a") as log:
        log.write(json.dumps({**request, "pid": os.getpid()}) + "\n")
    for step in steps:
        match step:
            case {"progress": [fraction, stage, *more]}:
                params = {"progressToken": number, "progress": fraction, "stage": stage}
                params |= dict(zip(("message", "remaining"), more))
                send({"method": "notifications/progress", "params": params})
            case {"result": result}:
                return send({"id": number, "result": result})
            case {"error": [code, message, data]}:
                return send({"id": number, "error": {"code": code, "message": message, "data": data}})
            case {"print": text}:
                sys.stdout.write(text)
                sys.stdout.flush()
            case {"stderr": count}:
                sys.stderr.write("noise\n" * (count // 6) + "last words\n")
                sys.stderr.flush()
            case {"die": code}:
                os.kill(os.getpid(), -code) if code < 0 else os._exit(code)
            case {"wait": "deaf"}:
                ignore_all()
            case {"wait": "cancel"}:
                while cancels.get() != number:
                    pass
                return send({"id": number, "error": {"code": -32800, "message": "cancelled", "data": {}}})
            case {"wait": "enough"}:
                while cancels.get() != -number:
                    pass
            case {"coarse": path}:
                beside = str(Path(request["params"]["output"]).with_name("coarse.glb"))
                shutil.copy(path, beside)
                send({"method": "notifications/preview", "params": {"progressToken": number, "file": beside}})
            case {"preview": path}:
                send({"method": "notifications/preview", "params": {"progressToken": number, "file": path}})
            case {"wait": "ever"}:
                threading.Event().wait()
            case {"write": text}:
                Path(request["params"]["output"]).write_text(text)
            case {"copy": path}:
                shutil.copy(path, request["params"]["output"])
            case {"shipped": True}:
                shipped = Path(__file__).resolve().parents[2] / "addon" / "session" / "catalogue.json"
                result = {**result_of(request), **json.loads(shipped.read_text())}
                return send({"id": number, "result": result})
            case {"as_asked": True}:
                asked = {name: value for name, value in request["params"].items() if name in PROVENANCE}
                result = {**result_of(request), "provenance": {**PROVENANCE, **asked}}
                return send({"id": number, "result": result})
            case {"wait_for": name}:
                while not Path(sys.argv[1]).with_name(name).exists():
                    time.sleep(0.01)
            case {"touch": path}:
                Path(path).touch()
            case {"spawn": path}:
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                Path(path).write_text(str(child.pid))
    return send({"id": number, "result": result_of(request)})


def read(requests: "queue.Queue[dict | None]", cancels: "queue.Queue[int]", deaf: bool) -> None:
    for line in sys.stdin:
        body = json.loads(line)
        if body["method"] == "notifications/cancelled":
            cancels.put(body["params"]["requestId"])
        elif body["method"] == "notifications/enough":
            cancels.put(-body["params"]["requestId"])
        else:
            requests.put(body)
    if not deaf:
        os._exit(0)


def main() -> None:
    script = json.loads(Path(sys.argv[1]).read_text())
    deaf = any(step == {"wait": "deaf"} for steps in script.values() for step in steps)
    requests: queue.Queue[dict] = queue.Queue()
    cancels: queue.Queue[int] = queue.Queue()
    threading.Thread(target=read, args=(requests, cancels, deaf), daemon=True).start()
    while True:
        request = requests.get()
        run(request, script.get(request["method"], []), cancels)


main()
