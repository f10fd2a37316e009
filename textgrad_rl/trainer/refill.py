"""Refill: groups whose samples all got the same score teach nothing, so fresh examples take their place.

Source: dynamic sampling of DAPO, https://arxiv.org/abs/2503.14476, section 3.2, with a bound on how often.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Example

Judge = Callable[[Sequence[Example]], Awaitable[tuple[list[Trace], list[Feedback]]]]
"""Runs examples and judges the runs."""
Thrown = tuple[Trace, Feedback]
"""A judged run that was thrown away."""


async def refilled(
    traces: list[Trace],
    feedback: list[Feedback],
    examples: Sequence[Example],
    *,
    times: int,
    seed_for: Callable[[int], int],
    judge: Judge,
) -> tuple[list[Trace], list[Feedback], list[Thrown]]:
    """Replace groups without a difference in score; return runs, their feedback, and what was thrown away.

    Args:
        traces: the samples of a step.
        feedback: one per trace.
        examples: where fresh ones are drawn from.
        times: how often at most.
        seed_for: turn -> seed of the drawing.
        judge: runs and judges the fresh ones.
    """
    thrown: list[Thrown] = []
    for turn in range(times):
        dead = dead_groups(traces, feedback)
        used = [*traces, *(trace for trace, _ in thrown)]
        fresh = fresh_examples(examples, used, len(dead), seed_for(turn))
        if not fresh:
            break
        traces, feedback, left = _exchanged(traces, feedback, *await judge(fresh))
        thrown += left
    return traces, feedback, thrown


def dead_groups(traces: Sequence[Trace], feedback: Sequence[Feedback]) -> set[str]:
    """Return the groups in which every scored sample got the same score."""
    scores: dict[str, set[float]] = {}
    for trace, item in zip(traces, feedback, strict=True):
        scores.setdefault(trace.group, set()).update([] if item.score is None else [item.score])
    return {group for group, values in scores.items() if len(values) <= 1}


def fresh_examples(examples: Sequence[Example], used: Sequence[Trace], count: int, seed: int) -> list[Example]:
    """Return so many random examples that no run of the step used, fewer where there are not as many."""
    known = {trace.example.key for trace in used}
    free = [example for example in examples if example.key not in known]
    return random.Random(seed).sample(free, min(count, len(free)))


def _exchanged(
    traces: Sequence[Trace], feedback: Sequence[Feedback], fresh: Sequence[Trace], judged: Sequence[Feedback]
) -> tuple[list[Trace], list[Feedback], list[Thrown]]:
    """Put live fresh groups in the place of dead ones; return runs, their feedback, and what is left over."""
    place = dict(zip(sorted(dead_groups(traces, feedback)), _live_groups(fresh, judged), strict=False))
    taken = set(place.values())
    old, new = list(zip(traces, feedback, strict=True)), list(zip(fresh, judged, strict=True))
    kept = [pair for pair in old if pair[0].group not in place] + [pair for pair in new if pair[0].group in taken]
    left = [pair for pair in old if pair[0].group in place] + [pair for pair in new if pair[0].group not in taken]
    return [trace for trace, _ in kept], [item for _, item in kept], left


def _live_groups(traces: Sequence[Trace], feedback: Sequence[Feedback]) -> list[str]:
    dead = dead_groups(traces, feedback)
    return [group for group in dict.fromkeys(trace.group for trace in traces) if group not in dead]
