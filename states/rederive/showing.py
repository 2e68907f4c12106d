"""What a judge was shown of a pair: the request and both completions, in its words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onlinedpo.states.answers import ORDERS
from onlinedpo.states.people.label_file import text_of
from onlinedpo.states.records import Sampled, Verdict
from onlinedpo.states.rederive.mismatch import Mismatch, differs, unknown
from onlinedpo.states.verdicts.conversations import shown
from onlinedpo.states.verdicts.framing import FRAMES, fence_for


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
class Question:
    """What a judge is shown of a pair, whichever comes first."""

    fence: str
    request: str
    texts: tuple[str, str]

    @classmethod
    def of(cls, pair: Sampled) -> Question:
        """The question about a pair."""
        request, texts = text_of(pair.messages), (pair.first.text, pair.second.text)
        return cls(fence_for(request, *texts), request, texts)


class Prompts:
    """Holds the prompts of judges to what they had to show."""

    def __init__(self, checked: Counter[str]) -> None:
        """Nothing was read yet; changes of a template are counted in `checked`."""
        self.rubric = ""
        self._checked = checked
        self._words: dict[tuple[int, str, str], _Words] = {}

    def must_show(
        self, verdict: Verdict, question: Question, pair: Sampled, where: object
    ) -> None:
        """The judge was shown the request and these completions, in this order.

        Raises `Mismatch`, and `JournalNewer` where the wording is not known.
        """
        kind = verdict.judge.get("kind")
        if kind == "python":
            # What a function is given follows from the pair: it is not kept.
            if verdict.prompt:
                raise differs(pair, "prompt", verdict.prompt, "")
            return
        if kind == "reward":
            if not shown(verdict.prompt, question.request, *question.texts):
                wanted = "two conversations that end with its completions"
                raise differs(pair, "prompt", verdict.prompt, wanted)
            return
        version = verdict.judge.get("frame", 0)
        if version not in FRAMES:
            raise unknown("frame", version, pair)
        a, b = question.texts if verdict.shown == ORDERS[0] else question.texts[::-1]
        fenced = FRAMES[version](question.fence, question.request, a, b)
        judge = str(verdict.judge.get("weights") or verdict.judge.get("id"))
        words = self._words.get((version, self.rubric, judge))
        if words and verdict.prompt == f"{words.before}{fenced}{words.after}":
            return
        before, found, after = verdict.prompt.partition(fenced)
        if not found:
            begin = max(verdict.prompt.find(fenced[:40]), 0)
            wanted = verdict.prompt[:begin] + fenced
            raise differs(pair, "prompt", verdict.prompt, wanted)
        if self.rubric not in before:
            raise differs(pair, "prompt (rubric)", before, self.rubric)
        if words is not None:
            self._changed(words, before, after)
        now = _Words(before, after, where, pair.pair, words)
        self._words[version, self.rubric, judge] = now

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
        self._checked["template_changes"] += 1
