"""When looks are compared: between disturbances, not in the middle of one.

Pods are scraped at different moments, so that a disturbance which hits both versions alike, such as a second without a
database, would be seen in one version a look before the other, which then would be blamed. Looks are therefore put
together until a calm one, in which no more happened than usual, or `MAXIMUM_LOOKS` of them. The rule sees the events
of both versions together and never whose they are, so it favours none; what is put together has about the same shares
of traffic, and a sum of hypergeometric counts varies less than one of the sum, which only lowers the evidence.
"""

from math import sqrt

from rollout_judge.state import Arm, Block

MAXIMUM_LOOKS = 3


def add(block: Block, champion: Arm, candidate: Arm, usual: float) -> bool:
    """Put one more look into `block`; returns whether it is complete. `usual`: share of events until now."""
    for total, new in ((block.champion, champion), (block.candidate, candidate)):
        total.trials += new.trials
        total.events += new.events
    block.looks += 1
    events, expected = champion.events + candidate.events, usual * (champion.trials + candidate.trials)
    return block.looks >= MAXIMUM_LOOKS or events <= 1 + expected + 3 * sqrt(expected)


def steady(trials: int, before: int) -> bool:
    """Whether traffic neither began nor ended, rose or fell, between two looks."""
    return max(trials, before) <= 2 * min(trials, before)
