"""Calls of the system that fail, or kill, in the real program: injected by `strace`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.errors import StorageError
from tests.conftest import Count
from tests.journal import kit
from tests.processes import LINKS, final_bytes, onlinedpo

EVERYWHERE = ("fsync", "fdatasync", "rename", "mkdir", "unlink", "link", "ftruncate")
"""Calls that nothing but a run's files are given to."""
IN_THE_RUN = ("write", "openat")
"""Calls of which only those on the run's files count."""
ERRORS = {"openat": "EMFILE", "link": "EPERM", "write": "ENOSPC", "mkdir": "EDQUOT"}
"""What a call fails with, if not with EIO."""


@cache
def traces() -> bool:
    """Whether this machine has strace, and lets us trace."""
    if not shutil.which("strace"):
        return False
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync", "true"]
    return not subprocess.run(command, capture_output=True).returncode


pytestmark = pytest.mark.skipif(not traces(), reason="no strace that may trace here")


@dataclass(frozen=True)
class Traced:
    """A command that was traced to its end."""

    code: int
    output: str
    calls: tuple[str, ...]
    """A line each, as strace writes them."""

    def acknowledged(self) -> Counter[Path]:
        """For each segment, how many of its frames are on the disk for certain."""
        synced = map(_SYNCED.match, self.calls)
        return Counter(Path(found[1]) for found in synced if found)


_SYNCED = re.compile(r"(?:\d+ +)?fdatasync\(\d+<([^>]*/\d{6}\.odj)>\) += 0")


def traced(
    run: Path, family: str, fault: str, *arguments: str | Path, log: Path
) -> Traced:
    """Run a command; the n-th call of a family meets the fault `error=EIO:when=n`."""
    named = family if family in ("write", "openat") else f"/^{family}(at2?)?$"
    # The program is stopped at these calls only, which is quick; but a signal is lost
    # at such a stop.  All of these calls are the first thread's.
    quick = [] if "signal" in fault else ["-f", "--seccomp-bpf"]
    only = [part for path in files(run) for part in ("-P", str(path))]
    ended = subprocess.run(
        [
            *("strace", *quick, "-qq", "-y", "-o", str(log)),
            *("-e", f"trace=fdatasync,{named}", "-e", f"inject={named}:{fault}"),
            *(only if family in IN_THE_RUN else ()),
            *(sys.executable, "-m", "onlinedpo.cli", *map(str, arguments)),
        ],
        env={**os.environ, "PYTHONPATH": str(LINKS), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    return Traced(ended.returncode, ended.stdout, tuple(log.read_text().splitlines()))


def files(run: Path) -> list[Path]:
    """The files of a short run, by every name that can be known before."""
    steps = [run / "checkpoints" / f"step-00000{step}" for step in (1, 2, 3)]
    halves = [step.with_name(f".tmp-{step.name}") for step in steps]
    return [
        *(run, run / "config.yaml", run / "metrics.jsonl"),
        *(run / "journal", run / "journal" / "lock"),
        *(run / "journal" / f"00000{segment}.odj" for segment in (1, 2, 3)),
        *(run / "checkpoints", *steps, *halves),
        *(h / "manifest.json" for h in (*steps, *halves)),
    ]


@dataclass(frozen=True)
class Scenario:
    """What is done to a run while it is traced, and what it starts from."""

    start: Path | None
    arguments: tuple[str, ...]
    """After `onlinedpo`; RUN stands for the run's folder."""

    def begin(self, run: Path) -> list[str]:
        """Put the run there; returns the command."""
        if self.start:
            shutil.copytree(self.start, run)
        return [str(run) if part == "RUN" else part for part in self.arguments]


@dataclass(frozen=True)
class Toy:
    """A short run, what is done to it, and what it comes to."""

    flags: tuple[str, ...]
    whole: dict[str, str]
    scenarios: dict[str, Scenario]


@pytest.fixture(scope="module")
def toy(
    flags: tuple[str, ...], whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> Toy:
    """Three steps: whole, about to begin, with a torn tail, and to be rewound."""
    torn = tmp_path_factory.mktemp("toy") / "torn"
    assert onlinedpo("run", torn, *flags, crash="journal.append@6").code < 0
    segment = torn / "journal" / "000001.odj"
    segment.write_bytes(segment.read_bytes()[:-9])
    return Toy(
        flags,
        final_bytes(whole),
        {
            "new": Scenario(None, ("run", "RUN", *flags)),
            "torn": Scenario(torn, ("run", "RUN")),
            "rewound": Scenario(whole, ("rewind", "RUN", "--to", "1")),
        },
    )


def faults(family: str) -> tuple[str, str]:
    """How a call fails, and that it kills."""
    return f"error={ERRORS.get(family, 'EIO')}", "signal=KILL"


def meet(toy: Toy, name: str, family: str, fault: str, tmp_path: Path) -> bool:
    """Let a scenario meet a fault, and the run go on; whether there was the call."""
    run = tmp_path / re.sub(r"\W", "-", f"{name}-{family}-{fault}")
    arguments = toy.scenarios[name].begin(run)
    before = set((run / "journal").glob("*.odj"))
    held = len(kit.recorded(run / "journal")) if before else 0
    log = run.with_suffix(".log")
    met = traced(run, family, fault, *arguments, log=log)
    if not any("(INJECTED)" in call for call in met.calls) and met.code == 0:
        return False
    case = f"{name}, {family} {fault}: code {met.code}\n{met.output}"
    assert "Traceback" not in met.output, case
    if "KILL" in fault:
        assert met.code in (-signal.SIGKILL, 128 + signal.SIGKILL), case
    elif met.code:
        assert met.code == StorageError.exit_code, case
        assert met.output.count("onlinedpo: ") == 1, case
    for segment, synced in met.acknowledged().items():
        # One that was there is synced too, when it is taken up.
        assert segment in before or len(kit.spans(segment).frames) >= synced, case
    if before:
        assert len(kit.recorded(run / "journal")) >= held, case
    goes_on(toy, run, name, case)
    shutil.rmtree(run)
    return True


def goes_on(toy: Toy, run: Path, name: str, case: str) -> None:
    """The next start ends with the same bytes, and all of it is as it should be."""
    if name == "rewound":
        again = onlinedpo("rewind", run, "--to", "1")
        # What was not acknowledged may be there none the less, whole.
        there = "the run stands after step 1" in again.output
        assert again.code == 0 or there, f"{case}\n{again.output}"
    ended = onlinedpo("run", run, *(toy.flags if name == "new" else ()))
    assert ended.code == 0, f"{case}\n{ended.output}"
    assert final_bytes(run) == toy.whole, case
    audit(run)


@pytest.mark.parametrize(
    ("name", "family", "fault"),
    [
        ("new", "fdatasync", "error=EIO:when=7"),
        ("torn", "fsync", "signal=KILL:when=6"),
        ("rewound", "write", "error=ENOSPC:when=2"),
        ("rewound", "rename", "signal=KILL:when=1"),
    ],
)
def test_a_call_that_fails_or_kills_loses_nothing(
    name: str, family: str, fault: str, toy: Toy, tmp_path: Path, count: Count
) -> None:
    """One clear message, or a kill; and the next start ends with the same bytes."""
    assert meet(toy, name, family, fault, tmp_path)
    count("calls that failed or killed by strace", 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", (*EVERYWHERE, *IN_THE_RUN))
@pytest.mark.parametrize("name", ["new", "torn", "rewound"])
def test_every_call_fails_and_kills_once(
    name: str, family: str, toy: Toy, tmp_path: Path, count: Count
) -> None:
    """The first, the second, and so on until there is none more."""
    for fault in faults(family):
        met = 0
        while meet(toy, name, family, f"{fault}:when={met + 1}", tmp_path):
            met += 1
        count("calls that failed or killed by strace", met)
