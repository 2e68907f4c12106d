"""The words with which people choose, and what they mean for the pair."""

from __future__ import annotations

from itertools import product

import pytest

from onlinedpo.states.answers import ORDERS, Shown, Value
from onlinedpo.states.people.choices import (
    EXPECTED,
    Choice,
    Word,
    read,
    shown_as,
    side_of,
)

WORDS: dict[Word, tuple[str, ...]] = {
    "1": ("1", "a", "one", "first", "left", "response 1", "response1", "answer 1"),
    "2": ("2", "b", "two", "second", "right", "response 2", "response2", "answer 2"),
    "tie": ("tie", "t", "equal", "same", "both", "both good", "equally good", "draw"),
    "bad": ("bad", "both bad", "bothbad", "neither", "none"),
    "skip": ("skip", "s", "pass"),
    "undo": ("undo", "u", "retract"),
}
TEXTS = [(text, word) for word, texts in WORDS.items() for text in texts]
SIDES = [(text, word) for text, word in TEXTS if word in ("1", "2")]


def spellings(text: str) -> list[str]:
    """The ways in which people write a word down."""
    return [
        text,
        text.upper(),
        text.title(),
        f"  {text}\t",
        f"{text}\r",
        f"{text}.",
        f"{text},",
        f"{text};",
        f"{text}:",
        f'"{text}"',
        f"'{text}'",
        f"`{text}`",
        f"[{text}]",
        f"({text})",
        f"<{text}>",
        f"**{text}**",
        f"_{text}_",
        f"- {text}",
        text.replace(" ", "_"),
        text.replace(" ", "-"),
        text.replace(" ", "   "),
    ]


@pytest.mark.parametrize(("text", "word"), TEXTS)
def test_a_choice_is_read_however_it_is_spelled(text: str, word: Word) -> None:
    """Case, spaces, quotes, brackets, underscores, a full stop do not matter."""
    for spelled in spellings(text):
        assert read(spelled) == Choice(word, strong=False), spelled


@pytest.mark.parametrize(("text", "word"), SIDES)
def test_a_side_can_be_chosen_strongly(text: str, word: Word) -> None:
    """By a word before it, or a sign after it."""
    strong = [
        *(f"{adverb} {text}" for adverb in ("strongly", "strong", "much")),
        *(f"{text}{sign}" for sign in ("+", "!", "++", " +", "!!", " !")),
    ]
    for one in strong:
        for spelled in (*spellings(one), f"{one} ", f"{one} ."):
            assert read(spelled) == Choice(word, strong=True), spelled


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "3",
        "0",
        "12",
        "1 2",
        "1, 2",
        "1 or 2",
        "1/2",
        "not 1",
        "ab",
        "first second",
        "yes",
        "?",
        "1?",
        "firstly",
        "best: 1",
        "choice: 1",
        "strongly",
        "strong",
        "much",
        "strongly tie",
        "strongly both bad",
        "much skip",
        "strongly undo",
        "tie!",
        "skip+",
        "strongly strongly 1",
        "very 1",
        "+",
        "!",
        "\u0661",
        "1\x00",
        "\u202e1",
        "1, 2, strongly 1, strongly 2, tie, both bad, skip or undo",
        "one " * 20_000,
    ],
)
def test_what_is_no_choice_is_none(text: str) -> None:
    """Nothing is guessed: what is not clear is asked for again."""
    assert read(text) is None


def test_every_word_that_is_told_to_be_expected_is_read() -> None:
    """The message for what could not be read lists words that can be."""
    told = EXPECTED.replace(" or ", ", ").split(", ")
    assert len(told) == 8
    assert {read(word) for word in told} == {
        *(Choice(word) for word in WORDS),
        Choice("1", True),
        Choice("2", True),
    }


@pytest.mark.parametrize(
    ("text", "shown", "value"),
    [
        ("1", "first-second", "first"),
        ("2", "first-second", "second"),
        ("1", "second-first", "second"),
        ("2", "second-first", "first"),
        *((w, order, w) for w in ("tie", "bad", "skip", "undo") for order in ORDERS),
    ],
)
def test_a_choice_is_of_the_side_that_was_shown_there(
    text: str, shown: Shown, value: Value
) -> None:
    """Response 1 is the pair's first completion, or its second, as it was shown."""
    choice = read(text)
    assert choice is not None
    assert choice.in_pair(shown) == value
    assert Choice(choice.word, strong=True).in_pair(shown) == value
    if choice.word == "1" or choice.word == "2":
        assert side_of(choice.word, shown) == value


ALL = [Choice(word) for word in WORDS] + [Choice("1", True), Choice("2", True)]


@pytest.mark.parametrize(("choice", "shown"), [*product(ALL, ORDERS)], ids=str)
def test_a_value_is_shown_again_as_it_was_chosen(choice: Choice, shown: Shown) -> None:
    """From the pair's coordinates back to what the person saw."""
    value = choice.in_pair(shown)
    assert shown_as(value, shown, strong=choice.strong) == choice


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_a_choice_is_written_as_it_is_read(choice: Choice) -> None:
    """What a program writes for a person is what the program can read."""
    assert read(str(choice)) == choice


def test_a_number_below_zero_is_no_choice() -> None:
    """A dash before a choice is that of a list, and not a minus."""
    assert read("- 1") == Choice("1")
    assert read("-1") is None
