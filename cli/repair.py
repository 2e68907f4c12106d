"""`onlinedpo journal doctor` and `salvage`: what is wrong with a run, and a way out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from onlinedpo.cli.terminal import say
from onlinedpo.cli.words import safe
from onlinedpo.journal.repair import doctor as doctors
from onlinedpo.journal.repair import salvage as salvaging
from onlinedpo.journal.repair.doctor import Diagnosis
from onlinedpo.journal.repair.finding import Finding, quoted
from onlinedpo.journal.repair.salvage import Salvaged
from onlinedpo.journal.repair.sound_part import counted
from onlinedpo.states import given
from onlinedpo.states.errors import JournalError, OnlineDPOError, UsageError

WIDTH = 88


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
def doctor(run_folder: Path) -> int:
    """Say what is wrong with run RUN, what that means for it, and what to do.

    Looks at the journal, the checkpoints, the settings and what crashes leave behind,
    and changes nothing. Exit code 0 if the run can go on as it is, and else 5.

    \b
    Example:
      onlinedpo journal doctor runs/mine
    """
    run = run_folder
    if not any((run / name).exists() for name in ("journal", "checkpoints")):
        raise UsageError(
            f"{run} is not a run", hint="A run is a folder with a journal."
        )
    diagnosis = doctors.examine(run)
    findings = [*diagnosis.findings, *_config(run, diagnosis.settings)]
    findings.sort(key=lambda finding: not finding.stops)
    stops = any(finding.stops for finding in findings)
    say(_summary(run, diagnosis, findings, stops=stops))
    for number, finding in enumerate(findings, start=1):
        say(_told(number, finding))
    return JournalError.exit_code if stops else 0


def _config(run: Path, settings: dict[str, Any] | None) -> Iterator[Finding]:
    """What is wrong with config.yaml; `settings` are those of the journal, if known."""
    from onlinedpo.engine.run_folder import RunFolder

    folder = RunFolder(run)
    try:
        wanted = folder.read_config()
        if settings is not None:
            given.resume(settings, wanted)
    except OnlineDPOError as error:
        yield Finding(
            f"{folder.config}: {error}",
            "'onlinedpo run' reads its settings from this file and stops here.",
            (
                ("Mend it, or set it aside; the journal has the settings as well:", ""),
                ("", f"mv {quoted(folder.config)} {quoted(folder.config)}.aside"),
            ),
            stops=True,
        )


def _summary(
    run: Path, diagnosis: Diagnosis, findings: list[Finding], *, stops: bool
) -> str:
    if stops:
        return f"{run} cannot go on as it is."
    wrong = "" if findings else "nothing is wrong: "
    return f"{run}: {wrong}it can go on as it is; its journal holds {diagnosis.holds}."


def _told(number: int, finding: Finding) -> str:
    lines = [""]
    for row in finding.what.split("\n"):
        lines.append(f"{number}. {safe(row)}" if len(lines) == 1 else f"   {safe(row)}")
    lines += _wrapped(finding.means, "   ")
    for words, command in finding.do:
        lines += _wrapped(words, "   - ") if words else []
        lines += [f"       {safe(command)}"] if command else []
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        safe(text),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.argument("new_folder", metavar="NEW", type=Path)
def salvage(run_folder: Path, new_folder: Path) -> None:
    """Make a new run NEW of what is sound in a damaged run RUN, which is only read.

    NEW holds all that stands before the first damage, frame for frame, and goes on
    from there as if RUN had been killed at that instant: an automatic judge's run takes
    the lost steps anew. What can be read after the damage may go back to what is lost,
    so it is no part of NEW; it is kept in NEW/quarantine as JSON. Of it, people's
    answers are put where NEW takes them in. First see what the doctor says: a copy of
    the damaged file loses nothing.

    \b
    Example:
      onlinedpo journal salvage runs/mine runs/mine-salvaged
    """
    if not run_folder.is_dir():
        raise UsageError(f"{run_folder} is not a run", hint="Give a run's folder.")
    from onlinedpo.engine.run_folder import RunFolder

    done = salvaging.salvage(run_folder, new_folder)
    RunFolder(new_folder).write_config(given.in_force(done.settings))
    for line in _made(run_folder, new_folder, done):
        say(line)


def _made(run: Path, new: Path, done: Salvaged) -> Iterator[str]:
    """What a salvage made, what it left out, and how to go on."""
    damage = [str(flaw) for flaw in done.flaws if not flaw.torn]
    if done.refused and not damage:
        damage.append(done.refused)
    if damage:
        yield f"first damage: {safe(damage[0])}"
    else:
        yield f"{run} is sound: 'onlinedpo run {quoted(run)}' goes on with it as it is"
    if len(damage) > 1:
        yield f"  and {counted(len(damage) - 1, 'more place', 'more places')}"
    yield f"{new} holds what stands before: {done.kept}"
    if done.left_out.frames:
        yield f"left out, since it may go back to what is lost: {done.left_out}"
        yield f"  kept as JSON in {new / salvaging.LEFT_OUT}"
    labels, now, later = new / "labels", done.answers, done.answers_later
    if now.answers:
        what = counted(now.answers, "answer", "answers")
        yield f"  {what} in {labels / now.name}: taken in when the run goes on"
    if later.answers:
        what = counted(later.answers, "answer", "answers")
        yield f"  {what} in {labels / later.name}: to pairs that do not wait yet;"
        yield "    when they do, copy the file into labels/inbox, each time under a new"
        yield "    name: the lines that fit are taken in"
    if done.steps:
        what = counted(done.steps, "step", "steps")
        yield f"no checkpoint was copied: the next run takes {what} again from the"
        yield "  journal, and compares what comes out"
    if done.trains:
        yield f"go on with: onlinedpo run {quoted(new)}"
    else:
        yield f"go on with: onlinedpo rejudge ... --into {quoted(new)}"
