"""Labelled pairs of answers for the judge of the demo.

A broken answer (off its topic, repeating, stacked, cut off, scrambled) loses against
an intact one whatever the rubric; between intact answers the rubric decides.  Ties
are not drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from onlinedpo.engine.demo.corpus import (
    RUBRICS,
    Answer,
    Question,
    draw_answer,
    draw_question,
    join,
    on_topic,
    politeness,
    words,
)
from onlinedpo.engine.demo.corpus_data import CLOSINGS, HOSTILE, LEVELS, OPENINGS, SLOTS

CONTRASTS = {"style": 0.64, "broken": 0.28, "hostile": 0.08}
"""What the pairs of the judge's training are made of."""

_POLITE_SHARE = 0.65
_BRIEFER_BY = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to a question, of which the first is better by the rubric."""

    aim: str
    rubric: str
    contrast: str
    question: str
    better: str
    worse: str


def draw_pair(
    rng: Random,
    *,
    held: bool = False,
    aim: str | None = None,
    contrast: str | None = None,
) -> Pair:
    """A random pair; `aim` is a key of RUBRICS, `contrast` one of CONTRASTS."""
    if aim is None:
        aim = "polite" if rng.random() < _POLITE_SHARE else "brief"
    if contrast is None:
        [contrast] = rng.choices(list(CONTRASTS), list(CONTRASTS.values()))
    question = draw_question(rng, held=held)
    if contrast == "broken":
        better, worse = str(draw_answer(rng, question)), broken(rng, question)
    else:
        better, worse = _styled(rng, question, aim)
    if contrast == "hostile":
        better, worse = _disturbed(rng, better, worse)
    rubric = rng.choice(RUBRICS[aim])
    return Pair(aim, rubric, contrast, question.text, better, worse)


def broken(rng: Random, question: Question) -> str:
    """An answer that is faulty in one way; mostly polite, so that politeness misleads.

    (Online DPO takes a policy to polite answers first, and then to polite faults.)
    """
    mood = rng.choices(LEVELS, (6, 2, 2))[0]
    answer = draw_answer(rng, question, mood)
    return rng.choice(_FAULTS)(rng, question, answer)


def _styled(rng: Random, question: Question, aim: str) -> tuple[str, str]:
    while True:
        one, other = (str(draw_answer(rng, question)) for _ in range(2))
        if aim == "polite":
            gain = politeness(one) - politeness(other)
        else:
            gain = words(other) - words(one)
            gain = 0 if abs(gain) < _BRIEFER_BY else gain
        if gain:
            return (one, other) if gain > 0 else (other, one)


def _disturbed(rng: Random, better: str, worse: str) -> tuple[str, str]:
    which = rng.choice(("better", "worse", "both"))
    if which != "worse":
        better = _with_hostile_text(rng, better)
    if which != "better":
        worse = _with_hostile_text(rng, worse)
    return better, worse


def _with_hostile_text(rng: Random, text: str) -> str:
    hostile = rng.choice(HOSTILE)
    return join(hostile, text) if rng.random() < 0.5 else join(text, hostile)


def _wrong_subject(rng: Random, question: Question, answer: Answer) -> str:
    others = [name for name in SLOTS[question.kind] if name != question.subject]
    return str(answer).replace(question.subject, rng.choice(others))


def _other_question(rng: Random, question: Question, answer: Answer) -> str:
    while True:
        other = str(draw_answer(rng, draw_question(rng)))
        if not on_topic(question.text, other):
            return other


def _no_core(rng: Random, question: Question, answer: Answer) -> str:
    opening = answer.opening or rng.choice(OPENINGS[1])
    closing = answer.closing or rng.choice(CLOSINGS[1])
    return join(opening, answer.detail, closing)


def _repeated(rng: Random, question: Question, answer: Answer) -> str:
    kept = (answer.opening, answer.core, answer.detail, answer.closing)
    parts = [part for part in kept if part]
    spot = rng.randrange(len(parts))
    times = rng.choice((1, 1, 2))
    after = rng.choice((spot, len(parts) - 1)) + 1
    return join(*parts[:after], *[parts[spot]] * times, *parts[after:])


def _stacked(rng: Random, question: Question, answer: Answer) -> str:
    opening, closing = [answer.opening], [answer.closing]
    for stack, phrases in rng.choice(
        (
            ((opening, OPENINGS),),
            ((closing, CLOSINGS),),
            ((closing, CLOSINGS),),
            ((opening, OPENINGS), (closing, CLOSINGS)),
        )
    ):
        height = rng.choice((2, 2, 3))
        while len([phrase for phrase in stack if phrase]) < height:
            more = rng.choice(phrases[rng.choices(LEVELS, (8, 1, 1))[0]])
            if more not in stack:
                stack.append(more)
    return join(*opening, answer.core, answer.detail, *closing)


def _cut_off(rng: Random, question: Question, answer: Answer) -> str:
    text = str(answer).split()
    ends = [at for at in range(2, len(text)) if text[at - 1][-1] not in ".!?"]
    return " ".join(text[: rng.choice(ends)]) if ends else "The"


def _scrambled(rng: Random, question: Question, answer: Answer) -> str:
    text = str(answer).split()
    length = rng.randint(min(5, len(text)), len(text))
    start = rng.randint(0, len(text) - length)
    span = text[start : start + length]
    rng.shuffle(span)
    return " ".join(text[:start] + span + text[start + length :])


def _spliced(rng: Random, question: Question, answer: Answer) -> str:
    text = str(answer).split()
    other = str(draw_answer(rng, draw_question(rng))).split()
    return " ".join(text[: rng.randint(2, 8)] + other[rng.randint(3, 8) :])


_Fault = Callable[[Random, Question, Answer], str]
_FAULTS: tuple[_Fault, ...] = (
    *(_wrong_subject, _wrong_subject, _wrong_subject),
    *(_other_question, _no_core, _repeated),
    *(_stacked, _stacked, _stacked),
    *(_cut_off, _cut_off, _scrambled, _spliced),
)
"""The faults, those that a policy runs into most often more than once."""
