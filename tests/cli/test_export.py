"""`onlinedpo export`: preference data out of a journal, and what is said of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.export import exported, pair_files
from onlinedpo.cli.main import cli
from onlinedpo.journal import codec, frames
from onlinedpo.states.errors import RunLocked, UsageError
from onlinedpo.states.records import Completion, Reason, Record, Sampled
from tests.journal import kit
from tests.processes import begin, onlinedpo
from tests.states import facts

Facts = list[Record]


def written(folder: Path, records: Iterable[Record]) -> Path:
    """A run whose journal has these records."""
    opening: list[Record] = [facts.run_opened(), facts.process_started()]
    kit.write(folder / "journal", [[opening, *([record] for record in records)]])
    return folder


def said(text: str, *tokens: int) -> Completion:
    """A completion that reads like this."""
    return replace(facts.completion(*tokens), text=text)


def pair(ticket: int) -> Sampled:
    """A pair with texts of its own."""
    first, second = said(f"One {ticket}.", ticket, 1), said(f"Two {ticket}.", ticket, 2)
    sampled = facts.sampled(ticket, first, second)
    asked = ({"role": "user", "content": f"Question {ticket}?"},)
    return replace(sampled, messages=asked)


def judged(ticket: int) -> Facts:
    """A pair that the judge has labelled: the first is better."""
    verdicts = [facts.verdict(ticket), facts.verdict(ticket, "second-first")]
    return [pair(ticket), facts.submitted(ticket), *verdicts, facts.label(ticket)]


def history() -> Facts:
    """Two trained pairs, a tie of the judge's, one pair labelled and one that waits.

    And a prompt that was too long, and a pair with nothing to choose.
    """
    tie = facts.verdict(2, winner="tie", logprobs=(-0.7, -0.7))
    same = facts.sampled(6, said("Same.", 1), said("Same.", 2))
    return [
        *(*judged(0), *judged(1)),
        *(pair(2), facts.submitted(2), tie, facts.dropped(2), facts.step(1, 0, 1)),
        facts.dropped(3, Reason.TOO_LONG),
        *(pair(4), facts.submitted(4), facts.escalated(4), facts.vote(4, "second")),
        facts.people_say(4, "second"),
        *(pair(5), facts.submitted(5), facts.escalated(5)),
        *(same, facts.dropped(6, Reason.IDENTICAL)),
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with that history; nothing writes to it."""
    return written(tmp_path_factory.mktemp("exported") / "run", history())


def export(run: Path, *arguments: str | Path) -> Result:
    """What the command does, in this process."""
    done = CliRunner().invoke(cli, ["export", str(run), *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(found: Sequence[dict[str, Any]]) -> list[int]:
    """The tickets of the pairs in rows."""
    return [int(row["odpo_pair"].split("-")[0]) for row in found]


# -- what is written -------------------------------------------------------------------


def test_labelled_pairs_and_undecided_ones_go_to_files_of_their_own(
    run: Path, tmp_path: Path
) -> None:
    """Every pair is in one of them, or is said to have no label yet."""
    told = export(run, "-o", tmp_path / "pairs.jsonl").output

    found = rows(tmp_path / "pairs.jsonl")
    undecided = rows(tmp_path / "pairs.undecided.jsonl")
    assert names(found) == [0, 1, 4]
    assert [row["odpo_step"] for row in found] == [1, 1, None]
    assert [row["odpo_source"] for row in found] == ["judge", "judge", "human"]
    assert found[2]["prompt"] == [{"role": "user", "content": "Question 4?"}]
    assert found[2]["chosen"] == [{"role": "assistant", "content": "Two 4."}]
    assert names(undecided) == [2, 6]
    assert [row["reason"] for row in undecided] == ["tie", "identical"]
    assert f"3 pairs written to {tmp_path / 'pairs.jsonl'}, 2 of them trained" in told
    assert "2 pairs without a winner written to" in told
    assert "(tie 1, identical 1)" in told
    assert "1 pair has no label yet" in told
    assert "1 prompt has no pair (too long 1)" in told


def test_nothing_is_undecided_nothing_is_written_for_it(tmp_path: Path) -> None:
    """And nothing is said of it."""
    run = written(tmp_path / "run", judged(0))
    told = export(run, "-o", tmp_path / "pairs.jsonl").output

    assert (
        told == f"1 pair written to {tmp_path / 'pairs.jsonl'}, 0 of them trained on\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pairs.jsonl", "run"]


def test_standard_output_has_the_pairs_and_nothing_else(run: Path) -> None:
    """What is said goes to standard error, the undecided ones are counted there."""
    done = export(run)

    assert names([json.loads(line) for line in done.stdout.splitlines()]) == [0, 1, 4]
    assert "2 pairs without a winner not written: that takes -o" in done.stderr


def test_plain_style_is_text(run: Path, tmp_path: Path) -> None:
    """In both files."""
    export(run, "--style", "plain", "-o", tmp_path / "pairs.jsonl")

    (*_, last) = rows(tmp_path / "pairs.jsonl")
    assert (last["prompt"], last["chosen"]) == ("Question 4?", "Two 4.")
    assert rows(tmp_path / "pairs.undecided.jsonl")[0]["first"] == "One 2."


def test_mlx_lm_lora_gets_a_folder(run: Path, tmp_path: Path) -> None:
    """With train.jsonl, as its --data reads it; the undecided ones lie beside."""
    export(run, "--format", "mlx-lm-lora", "-o", tmp_path / "data")

    first, *_ = rows(tmp_path / "data" / "train.jsonl")
    assert (first["prompt"], first["rejected"]) == ("Question 0?", "Two 0.")
    assert names(rows(tmp_path / "data" / "undecided.jsonl")) == [2, 6]


def test_mlx_lm_lora_is_refused_what_it_cannot_hold(tmp_path: Path) -> None:
    """Naming the pair; nothing is left behind."""
    _, *rest = judged(0)
    asked = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "!"})
    long = replace(pair(0), messages=(*asked, asked[0]))
    run = written(tmp_path / "run", [long, *rest])
    done = onlinedpo("export", run, "--format", "mlx-lm-lora", "-o", tmp_path / "data")

    assert done.code == 2
    assert f"mlx-lm-lora cannot hold pair {first_name(run)}" in done.output
    assert "user, assistant, user" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def first_name(run: Path) -> str:
    """The name of the first pair of a run."""
    records = kit.recorded(run / "journal")
    return next(record.pair for record in records if isinstance(record, Sampled))


def test_parquet_has_every_column_with_its_type(run: Path, tmp_path: Path) -> None:
    """Also where no row has a value: here no pair was trained on."""
    from pyarrow import parquet

    untrained = written(tmp_path / "untrained", [r for r in judged(0)])
    for name, source in (("some", run), ("none", untrained)):
        export(source, "--format", "parquet", "-o", tmp_path / f"{name}.parquet")
    some = parquet.read_table(tmp_path / "some.parquet")
    none = parquet.read_table(tmp_path / "none.parquet")
    undecided = parquet.read_table(tmp_path / "some.undecided.parquet")

    assert some.schema == none.schema
    assert str(some.schema.field("odpo_margin").type) == "double"
    assert str(some.schema.field("odpo_step").type) == "int64"
    assert none["odpo_step"].to_pylist() == [None]
    export(run, "-o", tmp_path / "some.jsonl")
    assert some.to_pylist() == rows(tmp_path / "some.jsonl")
    assert undecided.to_pylist() == rows(tmp_path / "some.undecided.jsonl")


def test_a_datasets_folder_loads_as_it_stands(run: Path, tmp_path: Path) -> None:
    """With the features that TRL takes for a conversation, or for texts."""
    from datasets import load_from_disk

    export(run, "--format", "datasets", "-o", tmp_path / "talk")
    told = export(
        run, "--format", "datasets", "--style", "plain", "-o", tmp_path / "text"
    )
    talk, text = load_from_disk(tmp_path / "talk"), load_from_disk(tmp_path / "text")
    undecided = load_from_disk(tmp_path / "talk.undecided")

    export(run, "-o", tmp_path / "talk.jsonl")
    assert [*talk] == rows(tmp_path / "talk.jsonl")
    assert text["chosen"][0] == "One 0."
    assert undecided["reason"] == ["tie", "identical"]
    assert str(tmp_path / "text.undecided") in told.output
    assert not [*tmp_path.glob(".tmp-*")]


def test_more_rows_than_are_held_are_all_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several parts, in their order."""
    from pyarrow import parquet

    count = 11
    monkeypatch.setattr(pair_files, "HELD", 4)
    run = written(tmp_path / "run", [r for n in range(count) for r in judged(n)])
    export(run, "--format", "parquet", "-o", tmp_path / "pairs.parquet")

    table = parquet.read_table(tmp_path / "pairs.parquet")
    assert names(table.to_pylist()) == [*range(count)]


def test_any_text_can_be_exported_in_every_format(tmp_path: Path) -> None:
    """A lone surrogate, which no encoding has, is replaced; the rest is exact."""
    from pyarrow import parquet

    text = 'a\0\r\n"\u2028\x1b[2J\U0001f600 '
    odd = replace(pair(0), first=said(text + "\ud800", 1), second=said(text, 2))
    run = written(tmp_path / "run", [odd, *judged(0)[1:]])
    for form in exported.FORMATS:
        done = export(run, "--format", form, "-o", tmp_path / f"{form}.eval")
        assert done.exit_code == 0, done.output

    chosen = [{"role": "assistant", "content": text + "\ufffd"}]
    assert rows(tmp_path / "jsonl.eval")[0]["chosen"] == chosen
    (row,) = parquet.read_table(tmp_path / "parquet.eval").to_pylist()
    assert row["chosen"] == chosen
    (row,) = rows(tmp_path / "mlx-lm-lora.eval" / "train.jsonl")
    assert (row["chosen"], row["rejected"]) == (text + "\ufffd", text)


@pytest.mark.parametrize("form", exported.FORMATS)
def test_the_longest_name_can_be_given(form: str, run: Path, tmp_path: Path) -> None:
    """Also where the name of what is written beside it would be longer."""
    output = tmp_path / ("x" * 250 + ".eval")
    done = export(run, "--format", form, "-o", output)

    assert done.exit_code == 0, done.output
    beside = {"x" * 240 + ".undecided" + ".eval", "x" * 245 + ".undecided"}
    made = {path.name for path in tmp_path.iterdir()}
    assert output.name in made and made <= {output.name, *beside}
    assert len(made) == (1 if form in ("inspect", "mlx-lm-lora") else 2)


def test_inspects_log_has_a_sample_for_each_judged_pair(
    run: Path, tmp_path: Path
) -> None:
    """An archive with the head, what lists show, and an entry a sample."""
    told = export(run, "--format", "inspect", "-o", tmp_path / "judge.eval").output

    with ZipFile(tmp_path / "judge.eval") as log:
        head = json.loads(log.read("header.json"))
        lists = json.loads(log.read("summaries.json"))
        entries = [name for name in log.namelist() if name.startswith("samples/")]
        sample = json.loads(log.read(entries[2]))
    assert "3 judged pairs written" in told
    assert [row["target"] for row in lists] == ["first", "first", "tie"]
    assert head["results"]["total_samples"] == len(entries) == 3
    assert sample["events"][0]["output"]["completion"] == "A"


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "csv"), "--format csv is for pairs that wait for people"),
        (("--pending", "--format", "parquet"), "--format parquet is for labelled"),
        (("--pending", "--style", "plain"), "--style does not go with --pending"),
        (("--format", "inspect", "--style", "plain"), "--style does not go with"),
        (("--format", "parquet"), "is not written to standard output"),
        (("--format", "inspect", "-o", "x.json"), "has no name that Inspect opens"),
        (("-o", "nowhere/pairs.jsonl"), "there is no folder nowhere"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(
    arguments: tuple[str, ...], words: str, run: Path
) -> None:
    """One line, and what to give instead."""
    done = onlinedpo("export", run, *arguments)

    assert done.code == 2
    assert words in done.output
    assert len(done.output.splitlines()) == 2


@pytest.mark.parametrize("taken", ["pairs.jsonl", "pairs.undecided.jsonl"])
def test_nothing_is_overwritten(taken: str, run: Path, tmp_path: Path) -> None:
    """Neither of the two files."""
    (tmp_path / taken).write_text("mine")
    done = onlinedpo("export", run, "-o", tmp_path / "pairs.jsonl")

    assert done.code == 2
    assert f"{taken} exists" in done.output
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_while_one_exports_another_is_told(run: Path, tmp_path: Path) -> None:
    """What the first one has made so far is not touched, and it ends as if alone."""
    output = tmp_path / "pairs.jsonl"
    with pair_files.whole(output) as half:
        (half / output.name).write_text("the first one's")
        done = onlinedpo("export", run, "-o", output)
        assert [path.name for path in half.iterdir()] == [output.name]

    assert done.code == RunLocked.exit_code
    assert f"{output}: another process is making it" in done.output
    assert len(done.output.splitlines()) == 2
    assert output.read_text() == "the first one's"
    assert [*tmp_path.iterdir()] == [output]


def test_what_was_exported_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Nor is anything put beside it."""
    output = tmp_path / "pairs.jsonl"
    with (
        pytest.raises(UsageError, match="exists"),
        pair_files.whole(output) as half,
    ):
        for name in ("pairs.jsonl", "pairs.undecided.jsonl"):
            (half / name).write_text("ours")
        output.write_text("theirs")

    assert output.read_text() == "theirs"
    assert [*tmp_path.iterdir()] == [output]


@pytest.mark.parametrize("form", ["jsonl", "mlx-lm-lora"])
def test_of_two_exports_at_once_one_is_whole(
    form: str, run: Path, tmp_path: Path
) -> None:
    """The other is told, and nothing half-made is left."""
    (tmp_path / "alone").mkdir()
    export(run, "--format", form, "-o", tmp_path / "alone" / "pairs")
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = ("export", run, "--format", form, "-o", folder / "pairs")
        racers = [begin(*words) for _ in range(2)]
        first, second = sorted((r.ended() for r in racers), key=lambda e: e.code)
        for racer in racers:
            racer.close()
        assert first.code == 0, first
        assert second.code in (UsageError.exit_code, RunLocked.exit_code), second
        assert re.search("exists|is making it", second.output), second
        assert below(folder) == below(tmp_path / "alone")


def below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its place."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([], "nothing has been sampled"),
        ([pair(0), facts.submitted(0), facts.escalated(0)], "no label yet 1"),
        ([pair(0), facts.dropped(0, Reason.IDENTICAL)], "identical 1"),
    ],
    ids=["empty", "waiting", "undecided"],
)
def test_a_run_without_a_winner_gives_one_clear_line_and_no_file(
    records: Facts, words: str, tmp_path: Path
) -> None:
    """A trainer could do nothing with an empty file."""
    run = written(tmp_path / "run", records)
    done = onlinedpo("export", run, "-o", tmp_path / "pairs.jsonl")

    assert done.code == 2
    assert "has a label with a winner" in done.output and words in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_where_only_people_judged_there_is_no_log_for_inspect(tmp_path: Path) -> None:
    """It is said where their answers are looked at."""
    votes: Facts = [facts.escalated(0), facts.vote(0), facts.people_say(0)]
    run = written(tmp_path / "run", [pair(0), facts.submitted(0), *votes])
    done = onlinedpo("export", run, "--format", "inspect", "-o", tmp_path / "x.eval")

    assert done.code == 2
    assert "was judged by a model" in done.output


def test_a_journal_that_breaks_the_rules_is_refused_by_frame(tmp_path: Path) -> None:
    """No label is exported that nobody can have given."""
    run = written(tmp_path / "run", judged(0))
    (segment,) = (run / "journal").glob("*.odj")
    data = segment.read_bytes()
    *_, last = frames.scan(data, frames.decode_segment(data))
    assert isinstance(last, frames.Frame)
    forged = codec.encode([facts.label(9)])
    frame, _ = frames.encode_frame(kit.RUN, last.chain, last.number + 1, forged)
    segment.write_bytes(data + frame)
    done = onlinedpo("export", run, "-o", tmp_path / "pairs.jsonl")

    assert done.code == 5
    assert f"frame {last.number + 1}" in done.output
    assert not (tmp_path / "pairs.jsonl").exists()
