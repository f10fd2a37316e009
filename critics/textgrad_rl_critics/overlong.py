"""A penalty for answers that come near the limit of their length, to be added to another critic's score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from textgrad_rl_critics.critic import Critic
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.trace import Failure, completion_behind
from textgrad_rl_graphs.types import Example
from textgrad_rl_graphs.value import Value


def overlong_penalty(tokens: int, longest: int, cache: int) -> float:
    """Return 0 up to ``longest - cache`` tokens, then ``(longest - cache - tokens) / cache``, at the longest -1.

    Source: the soft overlong punishment of DAPO, https://arxiv.org/abs/2503.14476, equation 13.

    >>> [overlong_penalty(tokens, longest=100, cache=20) for tokens in (80, 85, 100, 120)]
    [0.0, -0.25, -1.0, -1.0]
    """
    return max(-1.0, min(0.0, (longest - cache - tokens) / cache))


@final
class Overlong(Critic):
    """Scores the length of an answer alone, from 0 down to -1; it gives no verdict and writes no critique.

    Add it to what judges the answer: ``Verifier() + Overlong(longest=512, cache=128)``. An answer that was cut off at
    its limit is unusable (a policy fault) and gets the sum's lowest score.

    Args:
        longest: tokens of the longest answer, usually the node's ``max_tokens``.
        cache: the last so many of them are penalised, the more the later; at most ``longest``.
        name: how records call it.

    Raises:
        ConfigError: unless ``0 < cache <= longest``.
    """

    lowest = -1.0

    def __init__(self, *, longest: int, cache: int, name: str = "overlong") -> None:
        if not 0 < cache <= longest:
            raise ConfigError(f"overlong needs 0 < cache <= longest tokens, got cache={cache}, longest={longest}")
        self.longest = longest
        self.cache = cache
        self.name = name

    def check(self, examples: Iterable[Example]) -> None:
        """Nothing: no reference is needed."""

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        lengths = [tokens_of(case.target) for case in cases]
        return [
            Feedback(
                score=overlong_penalty(length, self.longest, self.cache), sees="nothing", components={"tokens": length}
            )
            for length in lengths
        ]


def tokens_of(target: Value | None) -> int:
    """Return how many tokens the answer behind a value has; 0 where no single model wrote it."""
    completion = completion_behind(target)
    return 0 if completion is None else len(completion.output_ids) or completion.usage.generated_tokens
