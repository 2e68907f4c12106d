"""Verdicts, read again from what the judge put out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from onlinedpo.states import seeds
from onlinedpo.states.answers import ORDERS
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import JournalNewer
from onlinedpo.states.framing import FRAMES, fence_for
from onlinedpo.states.parsing import PARSERS, letters_fit
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.records import RunOpened, Sampled, Shown, Verdict
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch

_BRIEF = ("kind", "id", "weights", "frame", "parser")


@dataclass(slots=True)
class _Words:
    """What stands around the fixed frame in a judge's prompts: its chat template."""

    before: str
    after: str
    where: object
    pair: str
    then: _Words | None = None
    """What stood there before these."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What a judge is shown of a pair, whichever comes first."""

    fence: str
    request: str
    texts: tuple[str, str]

    @classmethod
    def of(cls, pair: Sampled) -> _Question:
        request, texts = text_of(pair.messages), (pair.first.text, pair.second.text)
        return cls(fence_for(request, *texts), request, texts)


class Verdicts:
    """Reads verdicts again, one after the other."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.checked: Counter[str] = Counter()
        self._judges: list[dict[str, Any]] = []
        self._rubric = ""
        self._words: dict[tuple[int, str], _Words] = {}

    def judged_by(self, opened: RunOpened, settings: Settings) -> None:
        """The judge from here on, as the run says who it is."""
        brief = {key: opened.judge.get(key) for key in _BRIEF}
        # Its files may have been moved: then the setting names where they are now.
        self._judges = [brief, {**brief, "id": settings.judge}]
        # A template may strip it.
        self._rubric = str(opened.judge.get("rubric", "")).strip()

    def check(
        self,
        verdicts: Sequence[Verdict],
        pairs: Mapping[int, Sampled],
        settings: Settings,
        where: object,
    ) -> None:
        """Raise `Mismatch` at the first that is not as its judge put it out.

        `pairs` are those that were to be judged, in order.  Raises `JournalNewer` where
        a version of reading or wording is not known.
        """
        place = read = 0
        for ticket, pair in pairs.items():
            question = None
            for shown in _orders(verdicts, place, ticket, settings):
                verdict = verdicts[place] if place < len(verdicts) else None
                if verdict is None or verdict.ticket != ticket:
                    raise Mismatch("verdict", shown, NOTHING, shown, pair=pair.pair)
                if verdict.shown != shown:
                    raise _differs(pair, "shown", verdict.shown, shown)
                if self._read(verdict, pair):
                    question = question or _Question.of(pair)
                    self._must_show(verdict, question, pair, where)
                    read += 1
                place += 1
        self.checked["read_verdicts"] += read
        for verdict in verdicts[place:]:
            known = pairs.get(verdict.ticket)
            name = known.pair if known else f"{verdict.ticket:06d}"
            shown = verdict.shown
            raise Mismatch("verdict", shown, shown, NOTHING, pair=name)

    def _read(self, verdict: Verdict, pair: Sampled) -> bool:
        """Read what the judge put out; whether it is one whose words are known."""
        judge = verdict.judge
        if "parser" not in judge and judge.get("kind") != "model":
            self.checked["unread_verdicts"] += 1
            return False
        if judge not in self._judges:
            self._must_be_the_judge(judge, pair)
        parser = PARSERS.get(judge.get("parser", 0))
        if parser is None:
            raise _unknown("parser", judge.get("parser"), pair)
        winner, failure = parser(verdict.logprobs, verdict.shown, verdict.raw)
        if verdict.winner != winner:
            raise _differs(pair, "winner", verdict.winner, winner)
        if verdict.failure != failure:
            raise _differs(pair, "failure", verdict.failure, failure)
        if not letters_fit(verdict.logprobs, verdict.raw):
            a, b = verdict.logprobs
            raise _differs(pair, "raw", verdict.raw, f"log P(A) {a:.4g}, P(B) {b:.4g}")
        return True

    def _must_be_the_judge(self, judge: Mapping[str, Any], pair: Sampled) -> None:
        for key, wanted in self._judges[0].items():
            if judge.get(key) != wanted:
                raise _differs(pair, f"judge.{key}", judge.get(key), wanted)
        for key in judge.keys() - self._judges[0]:
            raise _differs(pair, f"judge.{key}", judge[key], NOTHING)

    def _must_show(
        self, verdict: Verdict, question: _Question, pair: Sampled, where: object
    ) -> None:
        """The judge was shown the request and these completions, in this order."""
        version = verdict.judge.get("frame", 0)
        if version not in FRAMES:
            raise _unknown("frame", version, pair)
        a, b = question.texts if verdict.shown == ORDERS[0] else question.texts[::-1]
        fenced = FRAMES[version](question.fence, question.request, a, b)
        words = self._words.get((version, self._rubric))
        if words and verdict.prompt == f"{words.before}{fenced}{words.after}":
            return
        before, found, after = verdict.prompt.partition(fenced)
        if not found:
            begin = max(verdict.prompt.find(fenced[:40]), 0)
            wanted = verdict.prompt[:begin] + fenced
            raise _differs(pair, "prompt", verdict.prompt, wanted)
        if self._rubric not in before:
            raise _differs(pair, "prompt (rubric)", before, self._rubric)
        if words is not None:
            self._changed(words, before, after)
        now = _Words(before, after, where, pair.pair, words)
        self._words[version, self._rubric] = now

    def _changed(self, words: _Words, before: str, after: str) -> None:
        """A template with a date changes its words; it does not change them back."""
        then = words.then
        if then and (then.before, then.after) == (before, after):
            raise Mismatch(
                "verdict",
                "prompt (template)",
                words.before + words.after,
                before + after,
                pair=words.pair,
                where=words.where,
            )
        words.then = None
        self.checked["template_changes"] += 1


def _orders(
    verdicts: Sequence[Verdict], place: int, ticket: int, settings: Settings
) -> Iterable[Shown]:
    """The orders in which a pair was to be shown to the judge."""
    if place < len(verdicts) and verdicts[place].judge.get("kind") != "model":
        # Whoever scripts a judge says in which orders it is asked.
        own = takewhile(lambda verdict: verdict.ticket == ticket, verdicts[place:])
        return [verdict.shown for verdict in own]
    if settings.judge_orders == 2:
        return ORDERS
    coin = seeds.derive(settings.seed, "order-shown", ticket) % 2
    return ORDERS[coin : coin + 1]


def _differs(pair: Sampled, field: str, recorded: Any, derived: Any) -> Mismatch:
    return Mismatch("verdict", field, recorded, derived, pair=pair.pair)


def _unknown(what: str, version: object, pair: Sampled) -> JournalNewer:
    return JournalNewer(
        f"verdict of pair {pair.pair}: its {what} has version {version!r}, which this"
        " version of onlinedpo does not have",
        hint="Use the version of onlinedpo that wrote the run, or a newer one.",
    )
