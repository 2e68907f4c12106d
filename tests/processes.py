"""Real `onlinedpo` processes: started, killed, and compared by the bytes they leave."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LINKS = Path(__file__).parent / "links"


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what it printed."""

    code: int
    output: str


def onlinedpo(*arguments: str | Path, crash: str = "") -> Outcome:
    """Run the command line to its end; `crash` names a point at which it dies."""
    process = start(*arguments, crash=crash)
    output, _ = process.communicate(timeout=600)
    return Outcome(process.returncode, output)


def start(*arguments: str | Path, crash: str = "") -> subprocess.Popen[str]:
    """Start the command line and leave it running."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(LINKS),
        "ONLINEDPO_CRASH": crash,
        # Equal on every machine, and two test processes do not fight over the cores.
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "onlinedpo.cli", *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def killed(outcome: Outcome) -> bool:
    """Whether the process died by SIGKILL."""
    return outcome.code == -signal.SIGKILL


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
