"""The demo's questions and styled answers, drawn from a seed, and rules that score.

The rules read text and know nothing of any model, so they measure what was learned
independently of the judge.  Held out are one in eight of all questions, by checksum:
unseen combinations of template and slots, not unseen templates.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from random import Random

from onlinedpo.engine.demo.corpus_data import (
    CLOSINGS,
    CORE_MARKERS,
    CORES,
    INTENTS,
    LEVELS,
    OPENINGS,
    RUBRICS,
    SLOTS,
    SUBJECT_ORDER,
    Intent,
)

__all__ = [
    "RUBRICS",
    "Answer",
    "Question",
    "draw_answer",
    "draw_question",
    "held_out",
    "on_topic",
    "politeness",
    "subject",
    "words",
]

_MOOD_HOLDS = 0.7
_DETAIL_SHARE = 0.45
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Question:
    """A request, with what is needed to answer it."""

    text: str
    intent: Intent
    kind: str
    """The slot it is about."""
    subject: str
    """What it is about: a word that a proper answer names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in its parts; a part may be empty."""

    opening: str
    core: str
    detail: str
    closing: str

    def __str__(self) -> str:
        """The parts as one text."""
        return join(self.opening, self.core, self.detail, self.closing)


def join(*parts: str) -> str:
    """One text of all parts that are not empty."""
    return " ".join(part for part in parts if part)


def held_out(question: str) -> bool:
    """Whether this question is kept from training."""
    return zlib.crc32(question.encode()) % 8 == 0


def draw_question(rng: Random, *, held: bool = False) -> Question:
    """A random question, of the held-out ones or of the others."""
    while True:
        intent = rng.choice(INTENTS)
        text = fill(rng, rng.choice(intent.asks))
        if held_out(text) == held:
            kind, name = _find_subject(text)
            return Question(text, intent, kind, name)


def draw_answer(rng: Random, question: Question, mood: int | None = None) -> Answer:
    """A random answer; its parts mostly share one mood (a level), else differ."""
    if mood is None:
        mood = rng.choice(LEVELS)
    opening, core, closing = (
        mood if rng.random() < _MOOD_HOLDS else rng.choice(LEVELS) for _ in range(3)
    )
    fixed = {question.kind: question.subject}
    action = fill(rng, rng.choice(question.intent.actions), fixed)
    frame = rng.choice(CORES[core])
    detail = ""
    if rng.random() < _DETAIL_SHARE:
        detail = fill(rng, rng.choice(question.intent.details), fixed)
    return Answer(
        rng.choice(OPENINGS[opening]),
        frame.format(act=action, Act=action[0].upper() + action[1:]),
        detail,
        rng.choice(CLOSINGS[closing]),
    )


def fill(rng: Random, template: str, fixed: dict[str, str] | None = None) -> str:
    """The template with each slot filled, from `fixed` or at random."""

    def choose(slot: re.Match[str]) -> str:
        name = slot.group(1)
        return (fixed or {}).get(name) or rng.choice(SLOTS[name])

    return _SLOT.sub(choose, template)


def words(text: str) -> int:
    """The number of words."""
    return len(text.split())


def politeness(text: str) -> int:
    """From -3 (curt) to 3 (polite): one point for each part that shows a style."""
    lowered = text.lower()
    polite, curt = (
        sum(bool(marker.search(lowered)) for marker in _MARKERS[level])
        for level in (1, -1)
    )
    return polite - curt


def subject(question: str) -> str | None:
    """The item, dish, city, food, place or account that a question is about."""
    return _find_subject(question)[1] or None


def on_topic(question: str, answer: str) -> bool:
    """Whether the answer names what was asked about (true if nothing is named)."""
    asked = subject(question)
    return asked is None or asked in _words_of(answer)


def _words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def _find_subject(question: str) -> tuple[str, str]:
    named = _words_of(question)
    for kind in SUBJECT_ORDER:
        for name in SLOTS[kind]:
            if name in named:
                return kind, name
    return "", ""


def _any_of(phrases: tuple[str, ...]) -> re.Pattern[str]:
    # The boundary keeps "ugh." out of "enough."; an end mark may be written otherwise.
    written = (re.escape(phrase.lower().rstrip("!")) for phrase in phrases)
    return re.compile(r"(?<![a-z])(?:" + "|".join(written) + ")")


_MARKERS = {
    level: tuple(
        _any_of(phrases[level]) for phrases in (OPENINGS, CORE_MARKERS, CLOSINGS)
    )
    for level in (1, -1)
}
