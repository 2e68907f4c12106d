"""Label files in a run: how they may be saved, and what is told of those that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.states.records import Kept, Vote
from tests.people.kit import Parts, Person, Stages, answer, read
from tests.people.runs import names, pairs, those, work

# -- in a run ----------------------------------------------------------------------


def first(labels: Path) -> Path:
    """The first file that waits."""
    return sorted((labels / "todo").glob("*.md"))[0]


def as_utf16(text: str) -> bytes:
    """As Notepad saves it."""
    return text.replace("\n", "\r\n").encode("utf-16")


def with_bom(text: str) -> bytes:
    """As some editors save UTF-8."""
    return text.encode("utf-8-sig")


def with_crlf(text: str) -> bytes:
    """As on Windows."""
    return text.replace("\n", "\r\n").encode()


def with_cr(text: str) -> bytes:
    """As on old Macs."""
    return text.replace("\n", "\r").encode()


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("saved_as", [as_utf16, with_bom, with_crlf, with_cr])
def test_a_file_counts_however_the_editor_encodes_it(
    saved_as: Callable[[str], bytes], human: Parts, tmp_path: Path
) -> None:
    """And the journal has its bytes."""
    saved: list[bytes] = []

    def edit(labels: Path) -> None:
        path = first(labels)
        answer(path, "tie", annotator="Zoë")
        saved.append(saved_as(path.read_text()))
        path.write_bytes(saved[0])

    work(tmp_path, Stages(edit), **human)

    (vote,) = those(tmp_path, Vote)
    assert (vote.value, vote.annotator, vote.raw) == ("tie", "Zoë", saved[0])


BROKEN: dict[str, tuple[Callable[[str], bytes], str]] = {
    "rich text": (lambda text: b"{\\rtf1 " + text.encode(), "rich text (RTF)"),
    "latin-1": (lambda text: "é".encode("latin-1") + text.encode(), "not UTF-8"),
    "no head": (lambda text: text.split("---\n", 2)[2].encode(), 'line such as "id:'),
    "another run": (
        lambda text: text.replace("run: ", "run: 0").encode(),
        "Put it into the labels folder of its own run",
    ),
    "no rule": (
        lambda text: text.replace("your answer to", "").encode(),
        "is not there any more",
    ),
    "a word": (
        lambda text: text.replace("choice: ", "choice: maybe").encode(),
        "'maybe' is not known",
    ),
    "another pair": (
        lambda text: (
            text.replace("000000-", "000009-").replace("choice: ", "choice: 1").encode()
        ),
        "there is no pair 000009-",
    ),
    "too large": (lambda text: text.encode() + b"\n" * (8 << 20), "larger than 8 MB"),
}


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("case", BROKEN)
def test_a_note_says_what_cannot_be_read_until_it_is_mended(
    case: str, human: Parts, tmp_path: Path
) -> None:
    """The file is not touched, its version is kept, and it is no label."""
    broken, told = BROKEN[case]
    original: list[str] = []
    found: list[bytes] = []

    def spoil(labels: Path) -> None:
        path = first(labels)
        original.append(path.read_text())
        path.write_bytes(broken(original[0]))

    def mend(labels: Path) -> None:
        path = first(labels)
        note = path.with_name(f"{path.name}.error").read_text()
        assert told in note
        assert path.read_bytes() == broken(original[0])
        assert those(tmp_path, Vote) == []
        found.extend(kept.raw for kept in those(tmp_path, Kept))
        path.write_text(original[0])
        answer(path, "1")

    work(tmp_path, Stages(spoil, mend), **human)

    assert len(found) == 1
    if case != "too large":
        assert found == [broken(original[0])]
    assert len(those(tmp_path, Vote)) == 1
    assert not list((tmp_path / "labels").rglob("*.error"))


@pytest.mark.usefixtures("hurry")
def test_a_note_in_done_goes_with_what_it_tells_of(
    human: Parts, tmp_path: Path
) -> None:
    """An answer that was changed into none still counts, until it is mended."""

    def answered(labels: Path) -> None:
        answer(first(labels), "tie")

    def spoil(labels: Path) -> None:
        (path,) = (labels / "done").glob("*.md")
        answer(path, "maybe")

    def mend(labels: Path) -> None:
        (path,) = (labels / "done").glob("*.md")
        assert path.with_name(f"{path.name}.error").exists()
        assert len(those(tmp_path, Vote)) == 1
        answer(path, "skip")

    work(tmp_path, Stages(answered, spoil, mend), **human)

    assert [vote.value for vote in those(tmp_path, Vote)] == ["tie", "skip"]
    assert not list((tmp_path / "labels").rglob("*.error"))


@pytest.mark.usefixtures("hurry")
def test_a_file_saved_without_a_choice_waits_on(human: Parts, tmp_path: Path) -> None:
    """No note is written; a note that stood there goes."""

    def half(labels: Path) -> None:
        path = first(labels)
        path.write_text(path.read_text().replace("choice: ", "choice: maybe"))

    def note_only(labels: Path) -> None:
        path = first(labels)
        assert path.with_name(f"{path.name}.error").exists()
        text = path.read_text().replace("maybe", "").replace("note: ", "note: hm")
        path.write_text(text)

    def look(labels: Path) -> None:
        assert names(labels / "todo") == [
            f"{p.pair}.md" for p in pairs(tmp_path).values()
        ]

    person = Stages(half, note_only, look)
    work(tmp_path, person, **human)

    assert [kept.reason for kept in those(tmp_path, Kept)][-1] == "no choice yet"
    assert person.waits == [3] * 4


@pytest.mark.usefixtures("hurry")
def test_a_vanished_file_is_written_again(human: Parts, tmp_path: Path) -> None:
    """Deleting a file is no answer; the run says what it did."""
    texts: list[bytes] = []

    class Deletes(Person):
        """Throws the first file away, and answers once it is there again."""

        def at_work(self, todo: Path) -> bool:
            paths = sorted(todo.glob("*.md"))
            if not texts:
                texts.append(paths[0].read_bytes())
                paths[0].unlink()
                return True
            if len(paths) == 3 or self.saved:
                return super().at_work(todo)
            return False

    person = Deletes()
    work(tmp_path, person, **human, iters=1)

    name = f"{pairs(tmp_path)[0].pair}.md"
    assert person.told(f"labels/todo/{name} was gone: it is written again")
    votes = {v.ticket: v for v in those(tmp_path, Vote)}
    assert set(votes) == {0, 1, 2}
    assert votes[0].raw.startswith(texts[0][: texts[0].index(b"choice:")])


@pytest.mark.usefixtures("hurry")
def test_files_that_are_not_theirs_stay_where_they_are(
    human: Parts, tmp_path: Path
) -> None:
    """Swap files, links, folders: no labels, no notes, and not in the way."""

    def litter(labels: Path) -> None:
        path = first(labels)
        copy = answer_text(path, "1")
        (labels / "todo" / f".{path.name}.swp").write_text(copy)
        (labels / "todo" / f"{path.name}~").write_text(copy)
        (labels / "outside").write_text(copy)
        (labels / "todo" / "link.md").symlink_to(labels / "outside")
        (labels / "inbox" / "folder").mkdir()

    work(tmp_path, Stages(litter, lambda labels: None), **human)

    assert those(tmp_path, Vote) == []
    assert those(tmp_path, Kept) == []
    todo = names(tmp_path / "labels" / "todo")
    assert len(todo) == 6
    assert not [name for name in todo if name.endswith(".error")]
    assert names(tmp_path / "labels" / "inbox") == ["folder"]
    # The run goes on with all of it there.
    assert work(tmp_path, Skips(), iters=1).ledger.steps == 1


class Skips(Person):
    """Answers label files, and not what only looks like one."""

    def at_work(self, todo: Path) -> bool:
        """Answer what bears a pair's name; whether there was anything."""
        paths = sorted(todo.glob("0*.md"))
        for path in paths:
            self.saved[path.name] = answer(path, self.rule(read(path)))
        return bool(paths)


def answer_text(path: Path, choice: str) -> str:
    """A label file as it would be with an answer."""
    return path.read_text().replace("choice: ", f"choice: {choice}")


@pytest.mark.usefixtures("hurry")
def test_a_copy_under_another_name_is_an_answer_too(
    human: Parts, tmp_path: Path
) -> None:
    """As "save as" leaves it, or a sync program: what counts is the id within.

    The file that was offered is not wanted any more and goes.
    """

    def save_as(labels: Path) -> None:
        path = first(labels)
        (labels / "todo" / "my answer.md").write_text(answer_text(path, "tie"))

    work(tmp_path, Stages(save_as), **human)

    (vote,) = those(tmp_path, Vote)
    assert (vote.ticket, vote.path) == (0, "todo/my answer.md")
    assert names(tmp_path / "labels" / "done") == ["my answer.md"]
    assert len(names(tmp_path / "labels" / "todo")) == 2


@pytest.mark.usefixtures("hurry")
def test_many_large_files_at_once_are_kept_whole(human: Parts, tmp_path: Path) -> None:
    """More bytes than a frame of the journal holds."""
    note = "very long " * 780_000

    def edit(labels: Path) -> None:
        for path in sorted((labels / "todo").glob("*.md")):
            answer(path, "1")
            path.write_text(path.read_text() + note)

    work(tmp_path, Stages(edit), **{**human, "batch_size": 9, "iters": 1})

    votes = those(tmp_path, Vote)
    assert len(votes) == 9
    assert sum(len(vote.raw) for vote in votes) > 64 << 20
    assert {vote.note for vote in votes} == {note.strip()}
