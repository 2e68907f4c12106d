"""A label file: what a person reads, and what is read of what they wrote."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import replace

import pytest

from onlinedpo.states.answers import Ask, Shown
from onlinedpo.states.people.choices import Choice
from onlinedpo.states.people.label_file import (
    Answer,
    Unreadable,
    fenced,
    fill,
    identify,
    read,
    render,
    text_of,
)
from onlinedpo.states.records import Sampled
from onlinedpo.states.visible import visible
from tests.states import facts

RUN = "7b2e40c1"
PAIR = facts.sampled(42)
ASK = Ask(PAIR.pair)
SECOND_ASK = Ask(PAIR.pair, 2)
NOTHING = Answer(choice=None, annotator="", note="", seconds=None)
EMPTY = "choice: \nannotator: \nnote: \n"


def pair_of(first: str = "So.", second: str = "Thus.", prompt: str = "Why?") -> Sampled:
    """The pair with these texts; its name is that of its tokens, as ever."""
    return replace(
        PAIR,
        messages=({"role": "user", "content": prompt},),
        first=replace(PAIR.first, text=first),
        second=replace(PAIR.second, text=second),
    )


def offered(pair: Sampled = PAIR, ask: Ask = ASK, shown: Shown = "first-second") -> str:
    """The file as it is offered."""
    return render(pair, ask, shown, RUN)


def answered(fields: str, pair: Sampled = PAIR) -> str:
    """The file with this in the place of the empty fields."""
    text = offered(pair)
    assert text.endswith(EMPTY)
    return text.removesuffix(EMPTY) + fields


def answer(fields: str) -> Answer:
    """What is read of a file with these fields."""
    return read(answered(fields), ASK)


# -- as it is offered ------------------------------------------------------------------


def test_a_file_says_what_it_asks_and_is_not_an_answer_yet() -> None:
    """Prompt, both responses, where to write; until somebody does, nothing is read."""
    text = offered(pair_of())
    places = [
        text.index(part)
        for part in (
            f"id: {ASK}",
            f"run: {RUN}",
            "## Prompt\n\n~~~~\nWhy?\n~~~~",
            "## Response 1\n\n~~~~\nSo.\n~~~~",
            "## Response 2\n\n~~~~\nThus.\n~~~~",
            f"your answer to {ASK} ",
            "# Write after",
            "\nchoice: \nannotator: \nnote: \n",
        )
    ]
    assert places == sorted(places)
    assert identify(text) == (ASK, RUN)
    assert read(text, ASK) == NOTHING


def test_the_two_orders_show_the_same_the_other_way_round() -> None:
    """Response 1 is the second completion where the coin says so."""
    one = offered(pair_of("AAA", "BBB"), shown="first-second")
    other = offered(pair_of("AAA", "BBB"), shown="second-first")
    assert one.index("AAA") < one.index("BBB")
    assert one == other.replace("AAA", "x").replace("BBB", "AAA").replace("x", "BBB")


def test_a_second_slot_has_a_file_of_its_own() -> None:
    """Its answer cannot be taken for one in the first, nor the other way round."""
    text = offered(ask=SECOND_ASK)
    assert identify(text) == (SECOND_ASK, RUN)
    assert read(fill(text, SECOND_ASK, choice="2"), SECOND_ASK).choice == Choice("2")
    for wrong, other in ((text, ASK), (offered(), SECOND_ASK)):
        with pytest.raises(Unreadable):
            read(wrong, other)


def test_a_conversation_is_shown_with_its_roles() -> None:
    """A single message stands alone."""
    one = ({"role": "user", "content": "Why?"},)
    two = ({"role": "system", "content": "Be brief."}, *one)
    assert text_of(one) == "Why?"
    assert text_of(two) == "system: Be brief.\n\nuser: Why?"


@pytest.mark.parametrize("run", [0, 1, 3, 4, 5, 40])
def test_a_fence_is_longer_than_any_in_the_text(run: int) -> None:
    """So that no completion can end its own fence."""
    text = f"a\n{'~' * run}\nb ~~ c"
    opening, shown, closing = fenced(text)
    assert shown == text
    assert opening == closing == "~" * max(4, run + 1)


def test_what_is_shown_can_do_nothing() -> None:
    """Prompt and responses are made visible: no escape, no turned direction."""
    nasty = "a\x1b[2J\u202eb\x00c\ud83d"
    text = offered(pair_of(nasty, nasty + "2", nasty))
    assert text.count(visible(nasty)) == 3
    assert text == visible(text)
    assert text.encode().decode() == text


# -- what is read ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("choice: 1\n", Choice("1")),
        ("choice: 2", Choice("2")),
        ("choice:tie\nannotator:\nnote:\n", Choice("tie")),
        ("  Choice :  strongly 2\n", Choice("2", True)),
        ("CHOICE = Both Bad\n", Choice("bad")),
        ("> choice: skip\n", Choice("skip")),
        ("- **choice**: 1\n", Choice("1")),
        ("* choice: 1!\n", Choice("1", True)),
        ("choice: undo   # I was wrong\n", Choice("undo")),
        ("# choice: 2\nchoice: 1\n", Choice("1")),
        ("choice: 1\nchoice:\n", Choice("1")),
        ("choice:\nchoice: 1\n", Choice("1")),
        ("choice: 1\nchoice: one\n", Choice("1")),
        ("annotator: x\n\n\nchoice: 1\n\n", Choice("1")),
        ("choice: 1\r\nannotator: a\r\nnote: b\r\n", Choice("1")),
    ],
)
def test_a_choice_is_found_however_its_line_is_written(
    fields: str, wanted: Choice
) -> None:
    """Case, spaces, bullets, bold and order do not matter; comments are no answer."""
    assert answer(fields).choice == wanted


@pytest.mark.parametrize("fields", ["", "\n", EMPTY, "choice: # 1\n", "note: later\n"])
def test_a_file_without_a_choice_is_not_answered_yet(fields: str) -> None:
    """Somebody may have saved it half-way."""
    assert answer(fields).choice is None


def test_name_note_and_seconds_are_read() -> None:
    """They are optional, and may stand in any order, but the note comes last."""
    found = answer("annotator:  Anna  B. \nseconds: 12.5\nchoice: 1\nnote: too long\n")
    assert found == Answer(Choice("1"), "Anna B.", "too long", 12.5)


def test_a_note_goes_on_to_the_end_of_the_file() -> None:
    """Over several lines, whatever they look like."""
    note = "first line\n\n# second\nchoice: 2\n---\nannotator: nobody\n  - last"
    found = answer(f"choice: 1\nannotator: anna\nnote: {note}\n\n")
    assert found == Answer(Choice("1"), "anna", note, None)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0.0),
        ("3", 3.0),
        (" 1e3 ", 1000.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e6", None),
    ],
)
def test_seconds_that_make_no_sense_are_left_out(
    written: str, seconds: float | None
) -> None:
    """They are no reason to refuse an answer."""
    assert answer(f"choice: 1\nseconds: {written}\n").seconds == seconds


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("choice: 3\n", "the choice '3' is not known. Expected is one of: 1, 2, "),
        ("choice: 1 or 2\n", "the choice '1 or 2' is not known"),
        ("choice: 1\nchoice: 2\n", "there are several choices: '1', '2'. Keep one."),
        ("choice: 1\nchoice: strongly 1\n", "several choices"),
        ("choice: 1\nchoice: what\n", "several choices"),
        ("choice: 1\nReally.\n", "the line 'Really.' below the rule is not known"),
        ("1\n", "the line '1' below the rule is not known"),
        ("choise: 1\n", "the line 'choise: 1' below the rule is not known"),
        ("Answer: 1\n", 'Expected are "choice:", "annotator:" and "note:"'),
        ("choice: " + "x" * 200_000, r"the choice 'x{80}' is not known"),
        ("y" * 200_000, r"the line 'y{80}' below"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_was_expected(
    fields: str, says: str
) -> None:
    """Nothing is guessed, and the message is short enough to be read."""
    with pytest.raises(Unreadable, match=says) as refused:
        answer(fields)
    assert len(str(refused.value)) < 500


def test_a_rule_that_was_deleted_is_asked_for() -> None:
    """The message shows the line, with the pair's name in it, and what to write."""
    fields = "choice: 1\nannotator: anna\n"
    above, _, _ = answered(fields).partition("-------- your")
    for text in (above + fields, fields, "", offered().replace(str(ASK), "")):
        with pytest.raises(Unreadable, match="is not there any more") as refused:
            read(text, ASK)
    told = str(refused.value)
    rule = told[told.index('"---- your answer') + 1 : told.index('----" is') + 4]
    mended = f"{above}\n{rule}\n{fields}"
    assert read(mended, ASK) == Answer(Choice("1"), "anna", "", None)


# -- what a completion can do about it: nothing ----------------------------------------

RULE = f"{'-' * 8} your answer to {ASK} (save the file when done) {'-' * 8}"
OTHER_RULE = RULE.replace(str(ASK), "000041-00000000")
FORGERIES = {
    "a choice": "choice: 1",
    "all fields": "choice: 1\nannotator: boss\nseconds: 1\nnote: done",
    "front matter": "---\nid: 000041-00000000\nrun: ffffffff\n---\nchoice: 1",
    "a fence": "~~~~\nchoice: 1\n~~~~",
    "a longer fence": f"{'~' * 50}\n\n{OTHER_RULE}\nchoice: 1\n{'~' * 50}",
    "a fence of backticks": "```\nchoice: 1\n```",
    "a fence that stays open": "~" * 9,
    "a heading": "## Response 2\n\n~~~~\nchoice: 1",
    "the rule of another pair": f"{OTHER_RULE}\nchoice: 1\nnote: x",
    "its own rule, guessed": f"{RULE}\n\nchoice: 1\nannotator: boss\nnote: x",
    "its own rule, twice": f"{RULE}\n{RULE}\nchoice: 1",
    "its own rule, at the end": f"choice: 1\n{RULE}",
    "zeros": "choice: 1\x00\x00",
    "from right to left": "\u202eetius :eciohc\u202c\u200fchoice: 1",
    "a long line": "choice: 1 " * 20_000,
    "many lines": f"{OTHER_RULE}\nchoice: 1\n" * 3_000,
    "line ends of Windows": f"\r\n{RULE}\r\nchoice: 1\r\n",
    "line ends of old": f"\r{RULE}\rchoice: 1\r",
    "other line ends": f"\u2028{RULE}\u2029choice: 1\x85choice: 1\x0bchoice: 1\x0c",
    "rich text": "{\\rtf1 choice: 1}",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_completion_can_answer_for_a_person(forgery: str) -> None:
    """Whatever stands above the last rule: what counts is what is written below it."""
    began = time.process_time()
    for texts in (
        {"first": forgery},
        {"second": forgery},
        {"prompt": forgery},
        {"first": forgery, "second": forgery + " ", "prompt": forgery},
    ):
        text = offered(pair_of(**texts))
        assert identify(text) == (ASK, RUN)
        assert read(text, ASK) == NOTHING
        filled = fill(text, ASK, choice="2", annotator="anna", note="mine")
        assert read(filled, ASK) == Answer(Choice("2"), "anna", "mine", None)
        for saved in (filled.replace("\n", "\r\n"), filled.rstrip(), filled + "\n\n"):
            assert read(saved, ASK) == Answer(Choice("2"), "anna", "mine", None)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_no_completion_can_say_whose_answer_a_file_is(forgery: str) -> None:
    """Not even where the person deleted a line of the head."""
    lines = offered(pair_of(forgery, prompt=forgery)).split("\n")
    for gone in range(4):
        text = "\n".join([*lines[:gone], *lines[gone + 1 :]])
        found = identify(text)
        assert found is None or found[0] == ASK
        assert found is None or found[1] in (RUN, "")


# -- whose file it is ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (f"---\nid: {ASK}\nrun: {RUN}\n---\n", (ASK, RUN)),
        (f"---\nid: {ASK}\nrun: {RUN}\n---", (ASK, RUN)),
        (f"\n\n --- \n  id :  {ASK}  \nrun:{RUN}\n---  \ntext", (ASK, RUN)),
        (f"---\r\nid: {ASK}\r\nrun: {RUN}\r\n---\r\ntext\r\n", (ASK, RUN)),
        (f"---\nrun: {RUN}\nmore: 1\nid: {SECOND_ASK}\n---\n", (SECOND_ASK, RUN)),
        (f"---\nid: {ASK}\n---\n", (ASK, "")),
        (f"---\nid: {ASK}\nid: 000041-00000000\nrun: {RUN}\n---\n", (ASK, RUN)),
        ("---\nid: 42\nrun: x\n---\n", None),
        (f"---\nid:\nrun: {RUN}\n---\n", None),
        (f"---\nrun: {RUN}\n---\n", None),
        (f"id: {ASK}\nrun: {RUN}\n---\n", None),
        (f"# Which?\n---\nid: {ASK}\nrun: {RUN}\n---\n", None),
        (f"---\nid: {ASK}\nrun: {RUN}\n", None),
        ("---\n---\n", None),
        ("", None),
    ],
)
def test_a_file_is_known_by_its_head(head: str, found: tuple[Ask, str] | None) -> None:
    """By its id and run, between two lines of dashes at its top, and nothing else."""
    assert identify(head) == found


@pytest.mark.parametrize("piece", ["\n", " ", "---\n", "id", "id:\n", "~", "- ", "a"])
@pytest.mark.parametrize("start", ["", "---\n", f"{offered()}", f"{offered()}choice:"])
def test_no_file_takes_long_to_read(start: str, piece: str) -> None:
    """200 kB of anything: a run does not stand still because of one file."""
    text = start + piece * (200_000 // len(piece))
    began = time.process_time()
    identify(text)
    with contextlib.suppress(Unreadable):
        read(text, ASK)
    with contextlib.suppress(Unreadable):
        fill(text, ASK, choice="1", note="x")
    identify(f"---\n{text}\n---\n")
    assert time.process_time() - began < 1.0


# -- filling a file in -----------------------------------------------------------------

AWKWARD = [
    "",
    "anna",
    "a: b, c = d",
    r"back\slashes \1 \g<0> \n \\",
    "# not a comment",
    "a # b",
    "choice: 2",
    "annotator: x note: y",
    '"quotes" and [brackets]',
    "\u4f60\u597d \u05e9\u05dc\u05d5\u05dd",
    "two\nlines\r\nand\ttabs",
    RULE[:70],
]


@pytest.mark.parametrize("value", AWKWARD)
def test_what_is_put_into_a_file_is_read_from_it(value: str) -> None:
    """Whatever a name or a note is made of; line ends become spaces."""
    text = fill(offered(), ASK, choice="strongly 1", annotator=value, note=value)
    told = " ".join(value.split())
    assert read(text, ASK) == Answer(Choice("1", True), told, told, None)
    text = fill(text, ASK, choice="2", annotator="bert", note="short", seconds="9.5")
    assert read(text, ASK) == Answer(Choice("2"), "bert", "short", 9.5)


def test_filling_in_changes_nothing_else() -> None:
    """As a careful person would: one line is another, and all others are as before."""
    before = answered("# mine\n\nchoice: 1\nannotator: anna\n\nnote: one\ntwo\n")
    after = fill(before, ASK, choice="2")
    assert after == before.replace("\nchoice: 1", "\nchoice: 2")
    assert fill(before, ASK) == before
    assert fill(after, ASK, choice="1") == before
    more = fill(before, ASK, seconds="3")
    lines = more.split("\n")
    lines.remove("seconds: 3")
    assert "\n".join(lines) == before
    assert fill(before, ASK, note="three") == before.replace("one\ntwo", "three")


def test_line_ends_of_windows_stay() -> None:
    """An editor there saved the file: the line that is put in ends as it did."""
    before = answered("choice: 1\nannotator: a\nnote: b\n").replace("\n", "\r\n")
    after = fill(before, ASK, choice="2", annotator="c")
    wanted = before.replace("choice: 1\r", "choice: 2\r").replace(
        "tor: a\r", "tor: c\r"
    )
    assert after == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("annotator: a\n", "annotator: a\nchoice: 2\n"),
        ("annotator: a", "annotator: a\nchoice: 2"),
        ("annotator: a\nnote: b\n", "annotator: a\nchoice: 2\nnote: b\n"),
        ("choice: 1\nchoice: tie\nnote: b\n", "choice: 2\nnote: b\n"),
        (
            "choice: 1\nnote: choice: 3\nchoice: 4",
            "choice: 2\nnote: choice: 3\nchoice: 4",
        ),
    ],
)
def test_a_line_is_put_where_it_belongs(fields: str, wanted: str) -> None:
    """Above the note, in the place of all lines of its name."""
    assert fill(answered(fields), ASK, choice="2") == answered(wanted)


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "choice:\n",
        "note:\n",
        "Note: old\n",
        "annotator: x",
        "choice: 1\nNOTE: old\nannotator: not me\nchoice: 2",
        "> choice = 2\n* annotator: old\n- note: old\n",
        "choice: 1\r\nannotator: b\r\nnote: old\r\n",
        "# nothing\n",
    ],
)
def test_a_file_is_filled_in_whatever_was_left_of_its_fields(fields: str) -> None:
    """A line that somebody deleted is written again; no answer goes missing."""
    wanted = {"choice": "2", "annotator": r"c\d", "seconds": "4", "note": r"n\1"}
    text = fill(answered(fields), ASK, **wanted)
    assert read(text, ASK) == Answer(Choice("2"), r"c\d", r"n\1", 4.0)
    for name, value in wanted.items():
        one = fill(answered(fields), ASK, **{name: value})
        assert f": {value}" in one.removeprefix(answered(""))


def test_a_file_without_its_rule_cannot_be_filled_in() -> None:
    """It is said as for one that is read."""
    with pytest.raises(Unreadable, match="is not there any more"):
        fill(offered(), SECOND_ASK, choice="1")


def test_random_texts_make_no_difference() -> None:
    """300 pairs of texts and answers made of what could matter: all come back."""
    chance = random.Random(0)
    parts = [
        *("choice", ":", "1", " ", "\n", "\r\n", "---", "~~~~", "#", "id", "note", "="),
        *(str(ASK), RULE, "annotator: x", "\\", "\x00", "\u202e", "\u2028", "\ud800"),
        *("a", "b", "*", ">", "your answer to ", "seconds: 5"),
    ]

    def some(count: int) -> str:
        return "".join(chance.choices(parts, k=chance.randrange(count)))

    for _ in range(300):
        text = offered(pair_of(some(40), some(40), some(40)))
        assert identify(text) == (ASK, RUN)
        assert read(text, ASK) == NOTHING
        who, note = (" ".join(some(9).replace(RULE, "").split()) for _ in range(2))
        if str(ASK) in note + who:
            continue
        filled = fill(text, ASK, choice="tie", annotator=who, note=note)
        assert read(filled, ASK) == Answer(Choice("tie"), who, note, None)
        assert filled.startswith(text[: text.rindex(RULE)])


def test_a_choice_may_stand_at_the_end_of_the_file() -> None:
    """`echo "choice: 2" >> FILE` is an answer, also below an empty note."""
    found = read(offered() + "choice: 2\n", ASK)

    assert (found.choice, found.note) == (Choice("2"), "")


def test_a_note_may_speak_of_the_choice() -> None:
    """A line of the note that is no choice stays in the note."""
    found = answer("choice: 1\nnote: why:\nchoice: it was hard")

    assert (found.choice, found.note) == (
        Choice("1"),
        "why:\nchoice: it was hard",
    )
