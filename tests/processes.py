"""Real `onlinedpo` processes: started, killed, and compared by the bytes they leave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests import starter
from tests.starter import Task

LINKS = Path(__file__).parent / "links"


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what it printed."""

    code: int
    output: str


class Child:
    """A process of the command line that was begun in a moment: see `tests.starter`."""

    def __init__(self, process: BaseProcess, output: Path) -> None:
        self._process, self._output = process, output

    def lives(self, seconds: float = 0.0) -> bool:
        """Whether it still works, after so many seconds at most."""
        self._process.join(seconds)
        return self._process.exitcode is None

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()

    def printed(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(errors="replace")

    def ended(self) -> Outcome:
        """Wait for its end."""
        self._process.join(600)
        code = self._process.exitcode
        assert code is not None, f"it has not ended:\n{self.printed()}"
        return Outcome(code, self.printed())

    def close(self) -> None:
        """End it, if it has not ended, and forget what it printed."""
        self.kill()
        self._process.join()
        self._output.unlink(missing_ok=True)


def onlinedpo(*arguments: str | Path, crash: str = "", keys: bytes = b"") -> Outcome:
    """Run the command line to its end, without the wait for imports."""
    with closing(begin(*arguments, crash=crash, keys=keys)) as child:
        return child.ended()


def begin(
    *arguments: str | Path,
    crash: str = "",
    operation: str = "",
    seconds: float = 0.0,
    keys: bytes = b"",
) -> Child:
    """The same, left running.

    `crash` names a point at which it dies, `operation` a change of a file, `seconds`
    how long it may compute; `keys` are typed.
    """
    number, output = tempfile.mkstemp(prefix="onlinedpo-")
    os.close(number)
    task = Task(
        arguments=tuple(map(str, arguments)),
        environment=_environment(crash),
        output=output,
        keys=keys,
        operation=operation,
        seconds=seconds,
    )
    return Child(starter.launch(task), Path(output))


def start(*arguments: str | Path, crash: str = "") -> subprocess.Popen[str]:
    """Start the command line as a user does, and leave it running."""
    return subprocess.Popen(
        [sys.executable, "-m", "onlinedpo.cli", *map(str, arguments)],
        env=_environment(crash),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _environment(crash: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(LINKS),
        "ONLINEDPO_CRASH": crash,
        # Equal on every machine, and two test processes do not fight over the cores.
        "OPENBLAS_NUM_THREADS": "1",
    }


def left_alone(run: Path, *arguments: str | Path) -> Path:
    """A run that nothing happened to, by its folder."""
    ended = onlinedpo("run", run, *arguments)
    assert ended.code == 0, ended.output
    return run


def killed(outcome: Outcome) -> bool:
    """Whether the process was killed, from outside or when its time was up."""
    return outcome.code in (-signal.SIGKILL, -signal.SIGPROF)


def final_bytes(run: Path) -> dict[str, str]:
    """Digests of the last checkpoint's tensors and of the published adapter."""
    last = sorted((run / "checkpoints").glob("step-*"))[-1]
    files = [
        last / "adapters.safetensors",
        last / "optimizer.safetensors",
        run / "adapters" / "adapters.safetensors",
    ]
    digests = {
        f"{f.parent.name}/{f.name}": hashlib.sha256(f.read_bytes()).hexdigest()
        for f in files
    }
    rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
    digests["losses"] = repr([(r["step"], r["loss"]) for r in rows if "loss" in r])
    return digests
