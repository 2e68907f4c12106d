"""`onlinedpo agreement`: what it tells of a journal that the writer wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.agreement import CONTEXT
from onlinedpo.cli.main import cli
from onlinedpo.states.measuring.agreement import alpha, ordinal
from onlinedpo.states.records import Reason, Record, Why
from tests.journal import kit
from tests.processes import onlinedpo
from tests.states import facts
from tests.states.votes import asked, judged, vote

HOSTILE = "\x1b[2Jeve\n\u202e"


def written(folder: Path, records: Iterable[Record]) -> Path:
    """A run whose journal has these records."""
    opening: list[Record] = [facts.run_opened(), facts.process_started()]
    kit.write(folder / "journal", [[opening, *([record] for record in records)]])
    return folder


def told(run: Path, *arguments: str) -> Result:
    """What the command prints."""
    return CliRunner().invoke(cli, ["agreement", str(run), *arguments])


def facts_of(run: Path) -> Any:
    """What the command gives as JSON."""
    return json.loads(told(run, "--json").output)


def labelled() -> list[Record]:
    """40 pairs that Anna and Ben label, half of them by lot, and then some.

    They agree on 30; the judge says first throughout; Anna says second on 4 of the
    first 20, which were drawn by lot, and on 4 of the rest.
    """
    found: list[Record] = []
    for n in range(40):
        found += judged(n, "first", "first", 2, Why.SHARE if n < 20 else Why.UNSURE)
        anna = "second" if n % 5 == 0 else "first"
        ben = {"first": "second", "second": "first"}[anna] if n % 4 == 1 else anna
        shown = "first-second" if n % 2 else "second-first"
        found += [
            vote(n, anna, saved=12.0 * n, strong=n % 3 == 0, shown=shown),
            vote(n, ben, slot=2, annotator="ben", seconds=4.0, source="file"),
        ]
    found += [facts.sampled(40), facts.submitted(40), asked(40, 2, Why.HUMAN)]
    found += [vote(40, "tie", annotator=HOSTILE), vote(40, "bad", slot=2)]
    found += [facts.sampled(41), facts.submitted(41), asked(41, 2, Why.HUMAN)]
    found += [vote(41, "skip"), vote(41, slot=2), vote(41, "undo", slot=2)]
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that people labelled."""
    return written(tmp_path_factory.mktemp("labelled"), labelled())


def test_every_annotator_is_told_with_their_habits(run: Path) -> None:
    """How many answers, ties, skips, how long, and how often the left one."""
    output = told(run).output

    assert f"{run}: 83 answers on 42 pairs" in output
    assert (
        "anna: 42 answers, 0 ties, 1 both bad, 1 skipped; median 12 s an answer"
        in output
    )
    assert "ben: 40 answers (40 from dropped files), 0 ties" in output
    anna, ben = facts_of(run)["annotators"][1:]
    assert (anna["name"], anna["left"]["n"], anna["timed"]) == ("anna", 40, 39)
    assert anna["left"]["value"] == 20 / 40
    assert anna["left"]["low"] == pytest.approx(0.352, abs=1e-3)
    assert ben["median_seconds"] == 4.0


def test_people_are_compared_with_each_other(run: Path) -> None:
    """Raw agreement, both alphas, and each two annotators on what they share."""
    people = facts_of(run)["people"]

    # Anna and Ben on 40 pairs, and Anna with the third person on one: both no choice.
    assert people["raw"]["n"] == people["alpha_nominal"]["n"] == 41
    assert people["raw"]["value"] == 31 / 41
    names = [two["annotators"] for two in people["by_two"]]
    assert names == [[HOSTILE, "anna"], ["anna", "ben"]]
    assert people["by_two"][1]["raw"]["value"] == 30 / 40
    # Anna says second 8 times; Ben on 6 of those, and on 8 of the others.
    chance = (8 * 14 + 32 * 26) / 40**2
    assert people["by_two"][1]["kappa"]["value"] == pytest.approx(
        (0.75 - chance) / (1 - chance)
    )
    assert "anna and ben" in told(run).output


def test_strength_counts_in_the_ordinal_alpha_only(run: Path) -> None:
    """Anna prefers strongly on every third pair, Ben never."""
    graded: list[tuple[int, int]] = [(0, 0)]
    for n in range(40):
        anna = -1 if n % 5 == 0 else 1
        graded.append((anna * (2 - bool(n % 3)), -anna if n % 4 == 1 else anna))
    sides = [((a > 0) - (a < 0), b) for a, b in graded]
    people = facts_of(run)["people"]

    for name, wanted in (
        ("alpha_nominal", alpha(sides)),
        ("alpha_ordinal", alpha(graded, ordinal)),
    ):
        assert people[name]["value"] == wanted.value
        assert (people[name]["low"], people[name]["n"]) != (None, 0)


def test_people_are_compared_with_the_judge_and_on_the_random_share(run: Path) -> None:
    """All pairs on which both chose, and apart those that were drawn by lot."""
    judge = facts_of(run)["judge"]

    assert (judge["all"]["raw"]["value"], judge["all"]["raw"]["n"]) == (0.8, 40)
    assert judge["random_share"]["raw"]["n"] == 20
    assert judge["all"]["kappa"]["value"] == 0.0
    output = told(run).output
    assert "80.0% [65.2%, 89.5%] (n=40)" in output
    assert "kappa                  0.00 [0.00, 0.00] (n=40)" in output
    assert "too few (n=20; 30 are needed)" in output


def test_a_figure_on_few_pairs_is_not_printed(run: Path) -> None:
    """Below 30 the number of pairs is told, and how many are needed."""
    lines = told(run).output.splitlines()
    first = lines.index("  \\x1b[2Jeve \\u202e and anna")

    assert lines[first + 1].split(maxsplit=1)[1] == "too few (n=1; 30 are needed)"


def test_how_much_people_agree_elsewhere_is_told(run: Path) -> None:
    """70 % is ordinary, and the reader should know."""
    output = told(run).output

    assert output.endswith(f"\n{CONTEXT}\n")
    for known in ("63 to 81 %", "65.7 %", "70 %"):
        assert known in CONTEXT


def test_a_name_cannot_drive_the_terminal(run: Path) -> None:
    """Names are what somebody wrote into a file: control characters are spelled out."""
    output = told(run).output

    assert "\x1b" not in output and "\u202e" not in output
    assert "\\x1b[2Jeve" in output


def test_the_same_journal_prints_the_same(run: Path) -> None:
    """Intervals too, in another process, which loads no model."""
    again = onlinedpo("agreement", run)

    assert again.code == 0
    assert again.output == told(run).output
    assert "[" in again.output


def test_one_persons_consistency_is_told_apart(tmp_path: Path) -> None:
    """Who answers both slots of a pair is compared with themselves."""
    found: list[Record] = []
    for n in range(30):
        found += [facts.sampled(n), facts.submitted(n), asked(n, 2, Why.HUMAN)]
        found += [vote(n), vote(n, "first" if n else "second", slot=2)]
    run = written(tmp_path, found)

    (anna,) = facts_of(run)["themselves"]
    assert (anna["name"], anna["raw"]["n"]) == ("anna", 30)
    assert anna["raw"]["value"] == 29 / 30
    output = told(run).output
    assert "people with themselves" in output
    assert "no pair has answers of two people (see the setting overlap)" in output
    assert "there is no such pair" in output


def test_who_always_says_the_same_has_no_kappa(tmp_path: Path) -> None:
    """It is printed as undefined; raw agreement is complete, with its interval."""
    found: list[Record] = []
    for n in range(30):
        found += [facts.sampled(n), facts.submitted(n), asked(n, 2, Why.HUMAN)]
        found += [vote(n), vote(n, slot=2, annotator="ben")]
    run = written(tmp_path, found)

    people = facts_of(run)["people"]
    assert people["by_two"][0]["kappa"]["value"] is None
    assert people["alpha_nominal"]["value"] is people["alpha_ordinal"]["value"] is None
    output = told(run).output
    assert output.count("undefined: all answers are the same (n=30)") == 3
    assert "100.0% [88.6%, 100.0%] (n=30)" in output


def test_a_third_answer_does_not_lower_the_agreement(tmp_path: Path) -> None:
    """Who settles a difference is counted as an annotator, and not compared."""
    run = written(
        tmp_path,
        [
            *(facts.sampled(0), facts.submitted(0), asked(0, 2, Why.HUMAN)),
            *(vote(0), vote(0, "second", slot=2, annotator="ben")),
            asked(0, 3, Reason.SPLIT),
            vote(0, "second", slot=3, annotator="cleo"),
        ],
    )

    found = facts_of(run)
    assert [who["name"] for who in found["annotators"]] == ["anna", "ben", "cleo"]
    assert [two["annotators"] for two in found["people"]["by_two"]] == [["anna", "ben"]]


def test_without_labels_there_is_one_clear_sentence(tmp_path: Path) -> None:
    """No label is no error."""
    run = written(tmp_path, chain(*facts.life(0, 1)))
    result = told(run)

    assert result.exit_code == 0
    assert result.output == (
        f"{run}: nobody has labelled a pair, so there is nothing to compare.\n"
    )
    assert facts_of(run)["answers"] == 0


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """As by the other commands: exit code 2 and one line."""
    result = onlinedpo("agreement", tmp_path)

    assert result.code == 2
    assert "is not a run" in result.output
    assert "Traceback" not in result.output
