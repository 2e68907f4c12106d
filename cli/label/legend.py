"""What each key of `onlinedpo label` means, and how that is told."""

from __future__ import annotations

from collections.abc import Sequence

from onlinedpo.states.people.choices import Choice

Legend = Sequence[tuple[str, str]]
"""Keys and what they do."""

ANSWERS = {
    "1": Choice("1"),
    "2": Choice("2"),
    "3": Choice("1", strong=True),
    "!": Choice("1", strong=True),
    "4": Choice("2", strong=True),
    "@": Choice("2", strong=True),
    # Shift and 2 on many keyboards that are not American.
    '"': Choice("2", strong=True),
    "t": Choice("tie"),
    "b": Choice("bad"),
    "s": Choice("skip"),
}
PAGES = {
    **dict.fromkeys((" ", "f", "\x1b[6~", "\x1b[B"), 1),
    **dict.fromkeys(("p", "\x1b[5~", "\x1b[A"), -1),
}
LEGEND: Legend = (
    ("1 2", "better"),
    ("3 4", "strongly"),
    ("t", "tie"),
    ("b", "both bad"),
    ("s", "skip"),
    ("u", "undo"),
    ("n", "note"),
    ("d", "diff"),
    ("g", "guidelines"),
    ("space p", "page"),
    ("?", "help"),
    ("q", "quit"),
)
NOTE_KEYS: Legend = (("Enter", "keep the note"), ("Esc", "leave it as it was"))
TEXT_KEYS: Legend = (("space p", "page"), ("any other key", "back to the pair"))

HELP = """\
1 2      response 1 or 2 is better
3 4      it is much better (or shift: ! @)
t        tie: both are equally good
b        both are bad
s        skip: not for me to decide
u        undo: take the last answer back and go there, again and again
n        note: one line, kept with the answer that you give next
d        show which words differ
g        show the guidelines
space f  page down; p page up
q        quit; all answers are on the disk already
"""
