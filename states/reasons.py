"""Why a prompt went where it went, in the words that the journal keeps."""

from __future__ import annotations


class Reason:
    """Why a turn was dropped."""

    TOO_LONG = "too long"
    IDENTICAL = "identical"
    FAILED = "judge failed"
    DISAGREED = "orders disagree"
    TIE = "tie"
    NO_MAJORITY = "judges disagree"
    TRUNCATED = "truncated"
    BAD = "both bad"
    SKIPPED = "skipped"
    SPLIT = "people disagree"
    BUDGET = "label budget spent"
    BACK = "corrected back"
    STALE = "too old"
    LEFT_OUT = "left out of the sample"
    REJUDGED = "judged again"
    REQUEUED = "too old, to be sampled again"


class Why:
    """Why a pair was sent to people, where it is not one of `Reason`."""

    HUMAN = "people judge"
    UNSURE = "judge unsure"
    SHARE = "random share"
