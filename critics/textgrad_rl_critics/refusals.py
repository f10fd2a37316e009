"""Whose fault it is when a judge refuses a response: the judge's, unless it takes the others to the same example."""

from __future__ import annotations

from collections.abc import Sequence

from textgrad_rl_critics.faults import policy_feedback
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.trace import Failure


def settled(cases: Sequence[Case], judged: Sequence[Feedback | Failure], lowest: float) -> list[Feedback | Failure]:
    """Return the judgements, a Failure of kind ``"policy"`` as a policy fault where it is the response's own.

    A response must not gain by what makes a judge refuse it, such as its length: unscored, it would leave the mean that
    a low score pulls down. Where every response to an example is refused, the judge is too small, and it is nobody's.

    Args:
        cases: what was judged.
        judged: one item each; ``kind`` of a Failure says whether the response may have brought it about.
        lowest: the critic's lowest score.
    """
    heard = {
        case.example.key
        for case, item in zip(cases, judged, strict=True)
        if isinstance(item, Feedback) and item.fault is None
    }
    return [
        policy_feedback(f"The judge cannot read the response: {item.reason}", lowest, item.usage)
        if isinstance(item, Failure) and item.kind == "policy" and case.example.key in heard
        else item
        for case, item in zip(cases, judged, strict=True)
    ]
