"""A label file as the terminal sees it: whose pair it is, what it shows, what it says.

Identity is what the file says at its top, never its name.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from onlinedpo.states.answers import Ask
from onlinedpo.states.people import label_file
from onlinedpo.states.people.label_file import Answer, Unreadable


@dataclass(frozen=True, slots=True)
class Pair:
    """What a person is to read before they choose."""

    prompt: str
    one: str
    two: str


@dataclass(frozen=True, slots=True)
class LabelFile:
    """One version of a label file.

    `pair` is None where somebody changed the file so that the responses cannot be told
    apart, `answer` where what stands below the rule cannot be read.
    """

    ask: Ask
    raw: bytes
    pair: Pair | None
    answer: Answer | None

    @property
    def is_open(self) -> bool:
        """Whether nobody has chosen yet."""
        return self.answer is not None and self.answer.choice is None


def parse(raw: bytes, run: str) -> LabelFile | None:
    """The label file that these bytes are, or None where they are none of this run."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n")
    found = label_file.identify(text)
    if found is None or found[1] != run:
        return None
    ask = found[0]
    try:
        answer = label_file.read(text, ask)
    except Unreadable:
        answer = None
    return LabelFile(ask, raw, _pair(text), answer)


def filled(raw: bytes, ask: Ask, **wanted: str) -> bytes:
    """The file with these fields written anew, and every other byte as it was."""
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    text = raw.removeprefix(mark).decode()
    return mark + label_file.fill(text, ask, **wanted).encode()


_PART = r"^## {name}\n\n(?P<{fence}>~{{4,}})\n(?P<{key}>.*?)\n(?P={fence})\n\s*"
# A fence is longer than any run of tildes in what it holds: no response can end one.
_PAIR = re.compile(
    "".join(
        _PART.format(name=name, fence=f"fence_{key}", key=key)
        for name, key in (
            ("Prompt", "prompt"),
            ("Response 1", "one"),
            ("Response 2", "two"),
        )
    ),
    re.S | re.M,
)


def _pair(text: str) -> Pair | None:
    found = _PAIR.search(text)
    return Pair(found["prompt"], found["one"], found["two"]) if found else None
