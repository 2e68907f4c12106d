"""`onlinedpo audit`: whether a run's journal is of one piece, and what its judge is."""

from __future__ import annotations

from pathlib import Path

import click

from onlinedpo.cli.audit import judge_figures
from onlinedpo.cli.audit import words as audit_words
from onlinedpo.cli.inspect import is_locked, journal_of
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.journal.audit.auditing import audit as go_through
from onlinedpo.states.errors import JournalError
from onlinedpo.states.measuring.judge_record import JudgeRecord


@click.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option(
    "--expect-head",
    metavar="HASH",
    default="",
    help="A head of the journal that was noted elsewhere, or its first 16 digits.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(run_folder: Path, expect_head: str, as_json: bool) -> None:
    """Prove the journal of run RUN, and say how far its judge can be trusted.

    Every byte is checked, every move of a prompt held to the table, every verdict read
    again from what the judge put out, every answer from what was saved, and every
    label, batch and step derived again. No model is needed, and nothing is changed.
    The first fact that does not follow is named, and the exit code is 5.

    Whoever rewrites a whole journal by the rules is found out only by a head of its
    chain that was noted elsewhere before: it is printed here, and by 'status'.

    \b
    Examples:
      onlinedpo audit runs/demo
      onlinedpo audit runs/demo --expect-head 3f9a1c0b7e2d4856
    """
    journal_of(run_folder)
    judges = JudgeRecord()
    try:
        found = go_through(run_folder, expected=expect_head, observers=[judges.take])
    except JournalError as error:
        if as_json:
            say_json(audit_words.failure(error))
        raise
    facts = audit_words.facts(found, live=is_locked(run_folder))
    facts["judge"] = judge_figures.facts(judges)
    if as_json:
        say_json(facts)
        return
    lines = [
        *audit_words.lines(run_folder, facts),
        "",
        *judge_figures.lines(facts["judge"]),
    ]
    say("\n".join(lines))
