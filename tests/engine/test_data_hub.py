"""Data sets of the Hub: what is loaded, what is told, and what needs no network."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.processes import LINKS

LINES = {
    "data/train.jsonl": [{"prompt": f"{n}?", "chosen": "a"} for n in range(12)],
    "data/validation.jsonl": [{"prompt": "Held out?", "chosen": "a"}] * 3,
}
FILES = {
    name: "".join(json.dumps(row) + "\n" for row in rows).encode()
    for name, rows in LINES.items()
} | {"README.md": b"---\nlicense: mit\n---\n"}
COMMIT = "a" * 40


class SmallHub(BaseHTTPRequestHandler):
    """Answers as the Hub does, of one public data set, org/toy."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """Metadata, a folder's files, or a file."""
        path, _, _ = self.path.partition("?")
        about, files = "/api/datasets/org/toy", "/datasets/org/toy/resolve/"
        if path.startswith(f"{about}/tree/"):
            self._say(self._tree(path.removeprefix(f"{about}/tree/")))
        elif path.startswith(about):
            siblings = [{"rfilename": name} for name in FILES]
            self._say({"id": "org/toy", "sha": COMMIT, "siblings": siblings})
        elif not path.startswith(files):
            self._send(b"", 404, {"X-Error-Code": "RepoNotFound"})
        elif (content := FILES.get(path.split("/", 6)[-1])) is None:
            self._send(b"", 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self._send(content, 200, {"ETag": f'"{_name(content)}"'})

    def _tree(self, place: str) -> list[dict[str, Any]]:
        _, _, folder = place.partition("/")
        return [
            {"type": "file", "path": name, "size": len(data), "oid": _name(data)}
            for name, data in FILES.items()
            if name.rpartition("/")[0] == folder
        ] + ([] if folder else [{"type": "directory", "path": "data", "oid": COMMIT}])

    def _say(self, value: Any) -> None:
        kind = {"Content-Type": "application/json"}
        self._send(json.dumps(value).encode(), 200, kind)

    def _send(self, content: bytes, code: int, more: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Length": str(len(content)),
            "X-Repo-Commit": COMMIT,
            **more,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def _name(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def small_hub() -> Iterator[str]:
    """The address of a hub that answers as long as the block lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SmallHub)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PROGRAM = """
import json, sys
from onlinedpo.engine.data.prompts import load
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
for wanted in json.loads(sys.argv[1]):
    try:
        found = load(Settings(**wanted))
        both = (found.train, found.held_out)
        print(json.dumps([[p[-1]["content"] for p in prompts] for prompts in both]))
    except UsageError as error:
        print(json.dumps([str(error), error.hint]))
"""


def asked(address: str, home: Path, *wanted: dict[str, Any]) -> list[list[Any]]:
    """What a fresh process finds: where the Hub is, it learns at its start."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home)}
    environment |= {"PYTHONPATH": str(LINKS), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_data_set_of_the_hub_is_loaded_once(tmp_path: Path) -> None:
    """With its own held-out split, or slices; and again without any network."""
    everything = [[f"{n}?" for n in range(12)], ["Held out?"] * 3]
    whole = {"data": "org/toy"}
    slices = {"train_split": "train[:50%]", "valid_split": "train[8:]"}
    sliced = {"hf_dataset": {"path": "org/toy", **slices}, "val_prompts": 2}

    with small_hub() as address:
        first = asked(address, tmp_path / "home", whole, sliced, {"data": "org/none"})
    # Nobody answers there any more.
    later = asked(address, tmp_path / "home", whole, sliced, {"data": "org/other"})

    assert first[:2] == [everything, [[f"{n}?" for n in range(6)], ["8?", "9?"]]]
    assert first[2][0] == (
        "there is no data set 'org/none' on the Hub, or none for you, and no file or"
        " folder of this name"
    )
    assert later[:2] == first[:2]
    assert later[2][0] == (
        "the data set 'org/other' cannot be loaded: the Hub cannot be reached"
    )
    assert "need no network" in later[2][1]
