"""Mistakes: a name, how to make it, its exit code, and what has to be said.

To add one, add a row: `provoke` prepares what is wrong and returns the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from onlinedpo.journal import frames
from onlinedpo.journal.lock import Lock
from onlinedpo.states.records import Record
from tests.journal import kit
from tests.states import facts
from tests.tables.bench import Bench

Provoke = Callable[[Bench], list[str]]


@dataclass(frozen=True)
class Mistake:
    """Something that a user does, or finds."""

    name: str
    code: int
    says: str
    """What the message has to contain."""
    provoke: Provoke
    variables: dict[str, str] = field(default_factory=dict)
    most_bytes: int | None = None
    """What a file may grow to: a disk that is full."""
    begins: bool = False
    """Whether the run has begun before it shows."""

    @contextmanager
    def environment(self) -> Iterator[None]:
        """The process's environment with these variables set."""
        before = dict(os.environ)
        os.environ.update(self.variables)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


# -- data ----------------------------------------------------------------------------


def data(name: str, content: str | bytes) -> Provoke:
    """Prompts with this in them."""
    return lambda bench: bench.new(data=bench.file(name, content))


DATA = [
    Mistake(
        *("no such data file", 2, "nowhere.jsonl"),
        lambda bench: bench.new(data="nowhere.jsonl"),
    ),
    Mistake("an empty data file", 2, "empty.jsonl", data("empty.jsonl", "")),
    Mistake(
        *("a line that is not JSON", 2, "bad.jsonl:2"),
        data("bad.jsonl", '{"prompt": "a"}\n{"prompt"\n'),
    ),
    Mistake(
        *("a prompt that is no text", 2, "odd.jsonl:2"),
        data("odd.jsonl", '{"prompt": "a"}\n{"prompt": 3}\n'),
    ),
    Mistake(
        *("data in another encoding", 2, "latin.jsonl"),
        data("latin.jsonl", '{"prompt": "Käse?"}\n'.encode("latin-1")),
    ),
    Mistake(
        *("a column that is not there", 2, "question"),
        data("other.jsonl", '{"question": "a"}\n'),
    ),
    Mistake(
        *("a folder without a train split", 2, "train"),
        lambda bench: bench.new(data=bench.file("folder/notes.md", "x").parent),
    ),
    Mistake(
        *("a kind of file that is not known", 2, "prompts.docx"),
        data("prompts.docx", b"PK"),
    ),
]

# -- models --------------------------------------------------------------------------


def no_answer_tokens(bench: Bench) -> list[str]:
    """A judge whose tokenizer has no A or B of its own."""
    model = bench.toy()
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    vocab["\u0100A"], vocab["\u0100B"] = vocab.pop("A"), vocab.pop("B")
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    return bench.new(judge=model)


def changed_model(bench: Bench) -> list[str]:
    """One weight is another one since the run began."""
    run = bench.finished
    weights = run.parent / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    return bench.again(run)


def changed_data(bench: Bench) -> list[str]:
    """A prompt was added since the run began."""
    run = bench.finished
    with (run.parent / "data" / "train.jsonl").open("a") as file:
        file.write('{"prompt": "One more?"}\n')
    return bench.again(run)


MODELS = [
    Mistake(
        *("no model", 2, "needs --model"),
        lambda bench: ["run", str(bench.place / "run"), "--data", str(bench.data)],
    ),
    Mistake(
        *("a path that is no model", 2, "config.json"),
        lambda bench: bench.new(model=bench.file("folder/notes.md", "x").parent),
    ),
    Mistake(
        *("a path that is not there", 2, "not-there"),
        lambda bench: bench.new(model=bench.place / "not-there"),
    ),
    Mistake(
        *("a Hub id without a network", 2, "nobody/nothing"),
        lambda bench: bench.new(model="nobody/nothing"),
        {"HF_HUB_OFFLINE": "1"},
    ),
    Mistake("a judge without answer tokens", 2, "toy", no_answer_tokens),
    Mistake("a model changed on disk", 4, "the model changed", changed_model),
    Mistake("data changed on disk", 4, "the prompts changed", changed_data),
    Mistake(
        *("more memory than there may be", 2, "memory"),
        lambda bench: bench.new("--memory-limit-gb", "0.000001"),
    ),
]

# -- settings ------------------------------------------------------------------------


def config(line: str) -> Provoke:
    """A settings file with this line in it."""
    return lambda bench: bench.new("-c", bench.file("mine.yaml", f"{line}\n"))


SETTINGS = [
    Mistake(
        *("an unknown setting", 2, "learning_rat"),
        config("learning_rat: 1e-4"),
    ),
    Mistake("a setting of the wrong type", 2, "beta is 'high'", config("beta: high")),
    Mistake("a setting out of range", 2, "top_p is 1.5", config("top_p: 1.5")),
    Mistake("a file that is not YAML", 2, "mine.yaml:2", config("beta: [")),
    Mistake(
        *("an unknown flag", 2, "--learning-rat"),
        lambda bench: bench.new("--learning-rat", "1"),
    ),
    Mistake(
        *("other settings for a run that has begun", 4, "beta: 0.1 -> 0.3"),
        lambda bench: bench.again(bench.finished, "--beta", "0.3"),
    ),
    Mistake(
        *("a report to somewhere unknown", 2, "'wanbd'"),
        lambda bench: bench.new("--report-to", "wanbd"),
    ),
]

# -- judges --------------------------------------------------------------------------


def judged_by(function: str) -> Provoke:
    """A function as judge that does this."""

    def provoke(bench: Bench) -> list[str]:
        module = f"judge_{bench.place.name}"
        head = "def judge(prompts, completions):"
        bench.file(f"{module}.py", f"{head}\n    {function}\n")
        return bench.new(judge=f"python:{module}:judge")

    return provoke


JUDGES = [
    Mistake(
        *("a judge that cannot be reached", 9, "127.0.0.1:9"),
        lambda bench: bench.new("--judge-attempts", "1", judge="http://127.0.0.1:9/v1"),
    ),
    Mistake(
        *("a judge module that is not there", 2, "nowhere"),
        lambda bench: bench.new(judge="python:nowhere:judge"),
    ),
    Mistake(
        *("a judge function that fails", 10, "division by zero"),
        judged_by("return [1 / 0]"),
    ),
    Mistake(
        *("people who are not waited for", 3, "2 label files wait"),
        lambda bench: bench.new("--no-wait", judge="human"),
        begins=True,
    ),
]

# -- the run folder ------------------------------------------------------------------


def held(bench: Bench) -> list[str]:
    """A run that somebody else works on, as long as this process lives."""
    run = bench.finished
    HELD.append(Lock(run / "journal"))
    return bench.again(run)


HELD: list[Lock] = []


def damaged(bench: Bench) -> list[str]:
    """One bit of the journal is not as it was written."""
    run = bench.finished
    segment = run / "journal" / "000001.odj"
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    return bench.again(run)


def newer(bench: Bench) -> list[str]:
    """A journal of a format that is not known yet."""
    run = bench.finished
    segment = run / "journal" / "000001.odj"
    segment.write_bytes(of_version(99, segment.read_bytes()))
    return bench.again(run)


def of_version(major: int, segment: bytes) -> bytes:
    """A segment as a newer format might have it, sound in itself."""
    end = frames.SEGMENT_SIZE - 4
    body = segment[:8] + major.to_bytes(2, "little") + segment[10:end]
    return body + zlib.crc32(body).to_bytes(4, "little") + segment[end + 4 :]


def lost(bench: Bench) -> list[str]:
    """A run without its journal."""
    run = bench.finished
    shutil.rmtree(run / "journal")
    return bench.again(run)


def spoilt(bench: Bench) -> list[str]:
    """A config.yaml that somebody mended."""
    run = bench.finished
    (run / "config.yaml").write_text("beta: [0.1\n")
    return bench.again(run)


def rejudged(bench: Bench) -> list[str]:
    """A folder that holds another judge's verdicts."""
    opened: list[Record] = [facts.run_opened(), facts.derived(purpose="rejudge")]
    kit.write(bench.place / "kinder" / "journal", [[opened]])
    return bench.run(bench.place / "kinder")


FOLDERS = [
    Mistake("no run folder", 2, "no run folder is given", lambda bench: ["run"]),
    Mistake(
        *("a folder with other files", 2, "holds other files and no run"),
        lambda bench: bench.run(bench.file("thesis/1.txt", "mine").parent),
    ),
    Mistake(
        *("a file in the place of the folder", 2, "is a file"),
        lambda bench: bench.run(bench.file("notes.txt", "mine")),
    ),
    Mistake(
        *("a file in the place of the folder above", 2, "is a file"),
        lambda bench: bench.run(bench.file("notes.txt", "mine") / "run"),
    ),
    Mistake("a run that is in use", 6, "another process (pid ", held),
    Mistake("a damaged journal", 5, "000001.odj: byte ", damaged),
    Mistake("a journal from a newer version", 5, "version 99", newer),
    Mistake("a run that has lost its journal", 5, "holds no journal", lost),
    Mistake("a spoilt config.yaml", 2, "config.yaml:", spoilt),
    Mistake("a folder of verdicts", 2, "holds verdicts only", rejudged),
    Mistake(
        *("no space to begin", 11, "run could not be made"),
        lambda bench: bench.new(),
        most_bytes=200,
    ),
    Mistake(
        *("no space for a checkpoint", 11, "the checkpoint of step 1"),
        lambda bench: bench.new("--val-prompts", "0", "--iters", "2"),
        most_bytes=10_000,
        begins=True,
    ),
    Mistake(
        *("no space for the journal", 11, "000001.odj: frame "),
        lambda bench: bench.new(
            *("--val-prompts", "0", "--iters", "90", "--save-every", "99")
        ),
        most_bytes=20_000,
        begins=True,
    ),
    Mistake(
        *("status of a folder that is no run", 2, "is not a run"),
        lambda bench: ["status", str(bench.file("thesis/1.txt", "mine").parent)],
    ),
    Mistake(
        *("runs below a folder that is not there", 2, "is not there"),
        lambda bench: ["runs", str(bench.place / "nowhere")],
    ),
    Mistake(
        *("a dry run of a run that has begun", 2, "has begun"),
        lambda bench: bench.again(bench.finished, "--dry-run"),
    ),
]

MISTAKES = [*DATA, *MODELS, *SETTINGS, *JUDGES, *FOLDERS]
"""All of them."""
