"""Verdicts, read again from what the judge put out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onlinedpo.states.config import Settings
from onlinedpo.states.records import RunOpened, Sampled, Shown, Verdict
from onlinedpo.states.rederive.mismatch import NOTHING, Mismatch, differs, unknown
from onlinedpo.states.rederive.showing import Prompts, Question
from onlinedpo.states.verdicts import asking, judges, penalties
from onlinedpo.states.verdicts.parsing import FITS, PARSERS

_Brief = Mapping[str, Any]


class Verdicts:
    """Reads verdicts again, one after the other."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.checked: Counter[str] = Counter()
        self._judges: list[tuple[_Brief, _Brief]] = []
        self._prompts = Prompts(self.checked)

    def judged_by(self, opened: RunOpened, settings: Settings) -> None:
        """The judges from here on, as the run says who they are."""
        known = judges.members(opened.judge)
        # Its files may have been moved: then the setting names where they are now.
        names = settings.judges if len(known) == len(settings.judges) else ()
        briefs = [judges.brief(judge) for judge in known]
        self._judges = [
            (brief, {**brief, "id": names[place] if names else brief.get("id")})
            for place, brief in enumerate(briefs)
        ]
        # They share it, as far as they have one.  A template may strip it.
        rubrics = [str(judge.get("rubric", "")).strip() for judge in known]
        self._prompts.rubric = max(rubrics, default="")

    def check(
        self,
        verdicts: Sequence[Verdict],
        pairs: Mapping[int, Sampled],
        settings: Settings,
        where: object,
        *,
        elsewhere: bool = False,
    ) -> None:
        """Raise `Mismatch` at the first that is not as its judge put it out.

        `pairs` are those that were to be judged, in order.  Verdicts from `elsewhere`
        were given in another run, perhaps under another penalty.  Raises `JournalNewer`
        where a version of reading or wording is not known.
        """
        place = read = 0
        penalty = settings.missing_eos_penalty
        if elsewhere:
            penalty = penalties.said(verdicts)
        for ticket, pair in pairs.items():
            question, end = None, place
            while end < len(verdicts) and verdicts[end].ticket == ticket:
                end += 1
            for verdict in self._expected(verdicts[place:end], pair, settings):
                _must_be_penalised(verdict, pair, penalty)
                if self._read(verdict, pair):
                    question = question or Question.of(pair)
                    self._prompts.must_show(verdict, question, pair, where)
                    read += 1
                place += 1
        self.checked["read_verdicts"] += read
        for verdict in verdicts[place:]:
            known = pairs.get(verdict.ticket)
            name = known.pair if known else f"{verdict.ticket:06d}"
            shown = verdict.shown
            raise Mismatch("verdict", shown, shown, NOTHING, pair=name)

    def _expected(
        self, own: Sequence[Verdict], pair: Sampled, settings: Settings
    ) -> Iterator[Verdict]:
        """The verdicts on a pair, each held to which judge was to be asked, and how.

        They come judge by judge, and for each order until an answer can be read, or
        the judge is not asked any more.
        """
        if own and not _readable(own[0]):
            # Whoever scripts a judge says in which orders it is asked.
            yield from own
            return
        waiting = iter(own)
        for known in self._judges:
            brief = known[0]
            most = asking.attempts(brief, settings.judge_retries)
            orders = (settings.judge_orders, settings.seed, pair.ticket)
            for shown in asking.orders(brief, *orders):
                for attempt in range(1, most + 1):
                    verdict = next(waiting, None)
                    if verdict is None:
                        name = pair.pair
                        raise Mismatch("verdict", shown, NOTHING, shown, pair=name)
                    _must_be_asked(verdict, pair, shown, attempt)
                    _must_be_the_judge(verdict.judge, known, pair)
                    yield verdict
                    if verdict.winner is not None:
                        break

    def _read(self, verdict: Verdict, pair: Sampled) -> bool:
        """Read what the judge put out; whether it is one whose words are known."""
        if not _readable(verdict):
            self.checked["unread_verdicts"] += 1
            return False
        version = verdict.judge.get("parser", 0)
        if version not in PARSERS:
            raise unknown("parser", verdict.judge.get("parser"), pair)
        logprobs, raw = verdict.logprobs, verdict.raw
        winner, failure = PARSERS[version](logprobs, verdict.shown, raw)
        winner = penalties.winner(verdict, winner)
        if verdict.winner != winner:
            raise differs(pair, "winner", verdict.winner, winner)
        if verdict.failure != failure:
            raise differs(pair, "failure", verdict.failure, failure)
        if version in FITS and not FITS[version](logprobs, raw):
            chances = ", ".join(f"{chance:.4g}" for chance in logprobs)
            raise differs(
                pair, "raw", raw, f"what fits log-probabilities {chances or 'none'}"
            )
        return True


def _readable(verdict: Verdict) -> bool:
    """Whether a verdict can be read again, or was to be: others are taken as said."""
    judge = verdict.judge
    return "parser" in judge or judge.get("kind") in judges.KINDS


def _must_be_penalised(verdict: Verdict, pair: Sampled, penalty: float | None) -> None:
    """What was taken off follows from which completions ended, and the winner too."""
    taken: tuple[float, ...] = ()
    if penalty is not None and verdict.winner is not None:
        taken = penalties.of(pair.first, pair.second, penalty)
    if verdict.penalties != taken:
        raise differs(pair, "penalties", verdict.penalties, taken)
    winner = penalties.winner(verdict, verdict.winner)
    if verdict.winner != winner:
        raise differs(pair, "winner", verdict.winner, winner)


def _must_be_asked(verdict: Verdict, pair: Sampled, shown: Shown, attempt: int) -> None:
    """The pair was shown in the order that was due, for the time that was due."""
    if verdict.shown != shown:
        raise differs(pair, "shown", verdict.shown, shown)
    if verdict.attempt != attempt:
        raise differs(pair, "attempt", verdict.attempt, attempt)


def _must_be_the_judge(
    judge: _Brief, known: tuple[_Brief, _Brief], pair: Sampled
) -> None:
    if judge in known:
        return
    for key, wanted in known[0].items():
        if judge.get(key) != wanted:
            raise differs(pair, f"judge.{key}", judge.get(key), wanted)
    for key in judge.keys() - known[0]:
        raise differs(pair, f"judge.{key}", judge[key], NOTHING)
