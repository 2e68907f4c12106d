"""Every error a user can meet, each with a remedy and an exit code of its own.

    OnlineDPOError                1
    +- UsageError                 2   a setting, file or argument that cannot be used
    +- SettingsChanged            4   a resumed run was given other settings
    +- JournalError               5
    |  +- JournalDamaged          5   bytes that were acknowledged are not as written
    |  +- JournalNewer            5   a newer version of this program wrote it
    |  +- IllegalMove             5   a record that the transition table forbids
    |  +- ImpossibleValue         5   a field holds what no run can have
    |  +- ReplayDiverged          5   re-applied steps do not reproduce the journal
    |  +- AuditFailed             5   a record does not follow from those before it
    +- RunLocked                  6   another process writes this run
    +- TrainingDiverged           7   a loss, a gradient or the policy is not finite
    +- NothingToLearn             8   the judge decides no pair any more
    +- WaitingForPeople           3   nothing can be done until people have answered
    +- JudgeFailed               10   a function as judge raised, or returned no verdict
    +- StorageError              11   a disk is full, read-only or failing
    +- Unanswered                 1   a judge elsewhere has not answered all
       +- JudgeUnreachable        9   its server cannot be reached, or sends us away
       +- JudgeLeft             130   the user did not wait for it

Messages say what failed, where and why;
`hint` says what to do.  `cli.main` is the only place that turns them into text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class OnlineDPOError(Exception):
    """Something the user should read, with a remedy."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message and the remedy apart, so that both can be shown."""
        super().__init__(message)
        self.hint = hint


class UsageError(OnlineDPOError, ValueError):
    """A setting, file or argument that cannot be used."""

    exit_code = 2


class SettingsChanged(OnlineDPOError):
    """A run is resumed with settings that would change its result."""

    exit_code = 4


class JournalError(OnlineDPOError):
    """The journal cannot be used as it is."""

    exit_code = 5


class JournalDamaged(JournalError):
    """Bytes that were once acknowledged are missing or are not as they were written."""


class JournalNewer(JournalError):
    """The journal is sound as far as can be told, but newer than this version."""


class IllegalMove(JournalError):
    """A record asks for a move that the transition table does not have."""


class ImpossibleValue(JournalError):
    """A field of a record holds what no run can have."""


class ReplayDiverged(JournalError):
    """Re-applying journalled steps gave another result than the journal records."""


class AuditFailed(JournalError):
    """What is recorded does not follow from what was recorded before it."""

    def __init__(
        self, message: str, *, hint: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        """`facts` say the same for programs: place, kind, field and both values."""
        super().__init__(message, hint=hint)
        self.facts = dict(facts or {})


class RunLocked(OnlineDPOError):
    """Another process is writing this run."""

    exit_code = 6


class TrainingDiverged(OnlineDPOError):
    """A loss, a gradient or the policy is not finite; nothing was applied."""

    exit_code = 7


class WaitingForPeople(OnlineDPOError):
    """Nothing is left to do until people have answered, and nobody wants to wait."""

    exit_code = 3


class NothingToLearn(OnlineDPOError):
    """Round after round no pair got a label."""

    exit_code = 8


class StorageError(JournalError):
    """What has to be on the disk cannot be put there: it is full, or read-only."""

    exit_code = 11


class JudgeFailed(OnlineDPOError):
    """A function as judge raised an error, or returned what can be no verdict."""

    exit_code = 10


class Unanswered(OnlineDPOError):
    """A judge elsewhere has not answered all that it was asked."""

    def __init__(
        self, message: str, *, hint: str = "", came: Sequence[Any] = ()
    ) -> None:
        """`came` are its verdicts on the first of the comparisons, if it got so far."""
        super().__init__(message, hint=hint)
        self.came = came


class JudgeUnreachable(Unanswered):
    """The judge's server cannot be reached: that says nothing of any pair."""

    exit_code = 9


class JudgeLeft(Unanswered):
    """The user asked to leave while the judge was thinking."""

    exit_code = 130
