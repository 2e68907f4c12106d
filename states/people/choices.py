"""The words with which people choose, read generously, and what they mean."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from onlinedpo.states.answers import Shown, Side, Value

Word = Literal["1", "2", "tie", "bad", "skip", "undo"]


class Choice(NamedTuple):
    """What was chosen, as it was shown: the first response is 1, the second 2."""

    word: Word
    strong: bool = False

    def in_pair(self, shown: Shown) -> Value:
        """The same in the pair's own coordinates."""
        if self.word == "1" or self.word == "2":
            return side_of(self.word, shown)
        return self.word

    def __str__(self) -> str:
        """As a person would write it."""
        name = {"bad": "both bad"}.get(self.word, self.word)
        return f"strongly {name}" if self.strong else name


def side_of(word: Literal["1", "2"], shown: Shown) -> Side:
    """The pair's side that was shown as response 1 or 2."""
    return "first" if (word == "1") == (shown == "first-second") else "second"


def shown_as(value: Value, shown: Shown, *, strong: bool = False) -> Choice:
    """The choice that a value in pair coordinates was, in the order shown."""
    if value == "first" or value == "second":
        first = (value == "first") == (shown == "first-second")
        return Choice("1" if first else "2", strong)
    return Choice(value)


_WORDS: dict[Word, tuple[str, ...]] = {
    "1": ("1", "a", "one", "first", "left", "response 1", "response1", "answer 1"),
    "2": ("2", "b", "two", "second", "right", "response 2", "response2", "answer 2"),
    "tie": ("tie", "t", "equal", "same", "both", "both good", "equally good", "draw"),
    "bad": ("bad", "both bad", "bothbad", "neither", "none"),
    "skip": ("skip", "s", "pass"),
    "undo": ("undo", "u", "retract"),
}
_MEANING = {text: word for word, texts in _WORDS.items() for text in texts}
EXPECTED = "1, 2, strongly 1, strongly 2, tie, both bad, skip or undo"


def read(text: str) -> Choice | None:
    """The choice that a text means, or None where it means none.

    Case, spaces, quotes, brackets, underscores and a full stop do not matter; "1+",
    "1!" and "much 1" are strong.
    """
    plain = re.sub(r"[\"'`\[\]()<>*]", " ", text.casefold())
    plain = " ".join(re.sub(r"_|-(?!\d)|(?<=\w)-", " ", plain).split()).rstrip(".,;: ")
    strong = bool(re.match(r"(strongly|strong|much) ", plain)) or plain.endswith(
        ("+", "!")
    )
    plain = re.sub(r"^(strongly|strong|much) ", "", plain).rstrip("+! ")
    word = _MEANING.get(plain)
    if word is None or (strong and word not in ("1", "2")):
        return None
    return Choice(word, strong)
