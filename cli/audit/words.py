"""What an audit went through, and what it could not check: as JSON, and in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onlinedpo.cli import words
from onlinedpo.journal.audit.auditing import Audited
from onlinedpo.states import records as r
from onlinedpo.states.errors import AuditFailed, JournalError
from onlinedpo.states.rederive import losses

_WIDTH = 88


def facts(found: Audited, *, live: bool) -> dict[str, Any]:
    """All of it, for programs."""
    kinds, checked, at = found.kinds, found.checked, found.position
    checkpoints, tail, derived = found.checkpoints, found.tail, found.ledger.derived
    records, derivable = kinds.total(), losses.derivable(found.ledger.settings)
    decided = (r.Label, r.Dropped, r.Escalated, r.Withdrawn)
    return {
        "passed": True,
        "live": live,
        "frames": at.number,
        "head": found.head,
        "segments": at.segment,
        "records": records,
        "records_per_second": records / found.seconds,
        "read_again": {
            "verdicts": checked["read_verdicts"],
            "answers": checked["label_files"] + checked["file_rows"],
        },
        "derived_again": {
            "pairs": kinds[r.Sampled],
            "decisions": sum(kinds[kind] for kind in decided),
            "labels": kinds[r.Label],
            "steps": kinds[r.Step],
            "rewinds": kinds[r.Rewound],
        },
        "checkpoints": sorted(checkpoints.verified),
        "adapter_of_step": checkpoints.adapter,
        "expected_head": None
        if found.expected is None
        else {"frame": found.expected, "frames_since": at.number - found.expected},
        "not_checked": {
            "verdicts_of_no_model": checked["unread_verdicts"],
            "answers_without_their_file": checked["unread_rows"],
            "annotators_by_owner_of_file": checked["owner_names"],
            "label_files_with_other_words": checked["altered_label_files"],
            "changes_of_the_judges_template": checked["template_changes"],
            "win_rates": kinds[r.Evaluated],
            "losses": 0 if derivable else kinds[r.Step],
            "pairs_of_another_run": derived.source if derived else None,
            "checkpoints_not_committed": checkpoints.uncommitted,
            "checkpoints_of_undone_steps": checkpoints.undone,
            "torn_tail": None
            if tail is None
            else {"file": str(tail.path), "byte": tail.offset, "size": len(tail.data)},
        },
    }


def failure(error: JournalError) -> dict[str, Any]:
    """What did not hold, for programs."""
    told = error.facts if isinstance(error, AuditFailed) else {}
    return {"passed": False, "error": str(error), **told}


def lines(folder: Path, facts: dict[str, Any]) -> list[str]:
    """All of it, for people."""
    again, derived = facts["read_again"], facts["derived_again"]
    rewinds = derived["rewinds"]
    return [
        f"{folder}: sound, and every fact follows from those before it",
        "  "
        + ", ".join(
            _several(facts[f"{what}s"], what) for what in ("frame", "record", "segment")
        )
        + _speed(facts),
        f"  {_several(again['verdicts'], 'verdict')} read again from what the judge put"
        " out",
        f"  {_several(again['answers'], 'answer')} read again from what people saved",
        f"  {_several(derived['pairs'], 'pair')},"
        f" {_several(derived['decisions'], 'decision')} on them"
        f" ({_several(derived['labels'], 'label')}) and"
        f" {_several(derived['steps'], 'step')} derived again"
        + (f", {_several(rewinds, 'rewind')} too" if rewinds else ""),
        f"  {_checkpoints(facts)}",
        *_expected(facts),
        "not checked:",
        *(line for text in _unchecked(folder, facts) for line in _wrapped(text)),
        words.head_line(facts["frames"], facts["head"]),
    ]


def _speed(facts: dict[str, Any]) -> str:
    """How fast that was, where it took long enough to say so."""
    rate = facts["records_per_second"]
    return f" ({rate:,.0f} records a second)" if facts["records"] > rate else ""


def _checkpoints(facts: dict[str, Any]) -> str:
    steps, adapter = facts["checkpoints"], facts["adapter_of_step"]
    told = "no checkpoint is there to be verified"
    if steps:
        told = f"checkpoints verified, tensor by tensor: {_listed(steps)}"
    return told + (f"; adapters/ has that of step {adapter}" if adapter else "")


def _expected(facts: dict[str, Any]) -> list[str]:
    expected = facts["expected_head"]
    if expected is None:
        return []
    since = expected["frames_since"]
    told = f"{_several(since, 'frame')} came since" if since else "nothing came since"
    return [f"  the expected head stands after frame {expected['frame']}; {told}"]


def _unchecked(folder: Path, facts: dict[str, Any]) -> Iterable[str]:
    """What was left out, and why."""
    not_checked = facts["not_checked"]
    told = {
        "verdicts_of_no_model": "{} of a judge of no known kind: nothing says how they"
        " are read",
        "answers_without_their_file": "{} in a dropped file that is not in labels/done"
        " any more as it was",
        "annotators_by_owner_of_file": "{} named after the owner of the file",
        "label_files_with_other_words": "{} whose responses are not those of the pair:"
        " somebody changed one of the two",
        "changes_of_the_judges_template": "{} of the words around what the judge was"
        " shown: a template with a date in it does that",
        "win_rates": "{}: the verdicts behind them are not kept",
        "losses": "{} whose loss is not a function of the margins",
    }
    names = {
        "verdicts_of_no_model": "verdict",
        "changes_of_the_judges_template": "change",
        "label_files_with_other_words": "label file",
        "win_rates": "win rate",
        "losses": "step",
    }
    for key, text in told.items():
        if count := not_checked[key]:
            yield text.format(_several(count, names.get(key, "answer")))
    if source := not_checked["pairs_of_another_run"]:
        yield f"whether run {words.safe(source)[:8]} has the pairs that came from it"
    for key, why in (
        ("checkpoints_not_committed", "the process ended before the journal had it"),
        ("checkpoints_of_undone_steps", "a rewind has undone it"),
    ):
        if steps := not_checked[key]:
            yield f"the checkpoint of step {_listed(steps)}: {why}"
    if tail := not_checked["torn_tail"]:
        why = "half a frame that a killed process left; the next run cuts it off"
        if facts["live"]:
            why = "the run is at work"
        yield f"{tail['size']} bytes at byte {tail['byte']} of {tail['file']}: {why}"
    if facts["derived_again"]["steps"]:
        yield f"what training computed: onlinedpo replay {folder} --train does it again"
    elif not any(not_checked.values()):
        yield "nothing was left out"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _several(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _listed(steps: list[int]) -> str:
    *others, last = map(str, steps)
    return f"{', '.join(others)} and {last}" if others else last
