"""How a judge is asked about a pair: in which orders, and how often.

This decides what a judge is asked, and what an audit expects of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onlinedpo.states import seeds
from onlinedpo.states.answers import ORDERS
from onlinedpo.states.records import Shown
from onlinedpo.states.verdicts.parsing import GENERATED, SCORES, SERVED


def orders(
    judge: Mapping[str, Any], judge_orders: int, seed: int, ticket: int
) -> Sequence[Shown]:
    """The orders in which a pair is shown to a judge, as it describes itself.

    One that scores each completion by itself is asked once: there is no order.
    """
    if judge.get("parser") == SCORES:
        return ORDERS[:1]
    if judge_orders == 2:
        return ORDERS
    coin = seeds.derive(seed, "order-shown", ticket) % 2
    return ORDERS[coin : coin + 1]


def attempts(judge: Mapping[str, Any], judge_retries: int) -> int:
    """How often it is asked in one order, as long as its answer cannot be read.

    Asked again, only a judge that writes its answer may give another one.
    """
    return 1 + judge_retries if judge.get("parser") in (GENERATED, SERVED) else 1
