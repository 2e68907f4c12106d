"""What is said beside a dropped file, and whose an answer is."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from onlinedpo.engine.people import receipts
from onlinedpo.journal.label_folder import annotator
from onlinedpo.states.records import Bundle
from tests.crash.hostile.hostile import Waiting
from tests.states import facts


def test_a_receipt_counts_what_came_of_a_file() -> None:
    """Also the lines that are not named, since there are too many."""
    read = replace(facts.bundle(), more=12)
    assert receipts.text("a.jsonl", read, pending=2).splitlines() == [
        "a.jsonl: jsonl",
        "2 answers were taken in",
        "1 said what was known already",
        "2 hold no answer yet",
        "14 could not be used:",
        "  line 3: no choice",
        "  line 7: no such pair",
        "  and 12 more",
    ]


def test_a_receipt_of_a_file_that_stays_says_what_to_do() -> None:
    """It lies in inbox/ still, as nothing in it could be used."""
    read = replace(
        facts.bundle(),
        kept_as="inbox/a.jsonl",
        format="",
        taken=0,
        unchanged=0,
        refused=((0, "no text"),),
    )
    assert receipts.text("a.jsonl", read).splitlines() == [
        "a.jsonl: no known format",
        "0 answers were taken in",
        "1 could not be used:",
        "  no text",
        "Mend the file and save it, or remove it.",
    ]


def nobodys() -> int:
    """A number that no user has."""
    taken = {user.pw_uid for user in pwd.getpwall()}
    return next(number for number in range(60_000, 65_000) if number not in taken)


@pytest.mark.parametrize(
    ("written", "default", "owner", "whose"),
    [
        ("zoe", "anna", os.getuid(), "zoe"),
        ("", "anna", os.getuid(), "anna"),
        ("", "", os.getuid(), pwd.getpwuid(os.getuid()).pw_name),
        # A file that came from another machine, or out of a container.
        ("", "", nobodys(), f"user {nobodys()}"),
    ],
)
def test_an_answer_is_of_who_is_said_or_else_owns_the_file(
    written: str, default: str, owner: int, whose: str
) -> None:
    """As the file says, as is set, or the owner by name or by number."""
    assert annotator(written, default, owner) == whose


def test_an_answer_to_a_pair_that_nobody_was_asked_about_is_told(
    tmp_path: Path,
) -> None:
    """It was sampled, and is still to be submitted: no program can have seen it."""
    run = Waiting(tmp_path, pairs=1)
    new = facts.sampled(1)
    run.journal.append([new])
    dropped = run.labels / "inbox" / "a.jsonl"
    dropped.write_text(json.dumps({"id": new.pair, "choice": "1"}))
    run.look()

    (bundle,) = (record for record in run.records() if isinstance(record, Bundle))
    assert bundle.refused == ((1, f"pair {new.pair} is not asked about yet"),)
    assert run.votes() == []
