"""A model and a critic driven by functions, with logs: what the tests of graphs share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.types import Completion, Dialect, Request, Usage

Script = Callable[[Request], "str | Exception"]


@dataclass
class ScriptedModel:
    """A model driven by a function of the request; what the function returns is said, an exception is raised.

    ``log`` has every request in the order of arrival, ``peak`` the largest number under way at once. Token ids are
    code points; with ``trainable=True`` it is a stand-in for a policy.
    """

    script: Script
    name: str = "scripted"
    dialect: Dialect = "json"
    trainable: bool = False
    weight_version: int = 0
    latency: Callable[[Request], float] | None = None
    log: list[Request] = field(default_factory=list)
    finished: list[Request] = field(default_factory=list)
    running: int = 0
    peak: int = 0

    async def complete(self, request: Request) -> Completion:
        self.log.append(request)
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if self.latency is not None:
                await asyncio.sleep(self.latency(request))
            answer = self.script(request)
        finally:
            self.running -= 1
        if isinstance(answer, Exception):
            raise answer
        self.finished.append(request)
        prompt = request.history_ids or tuple(ord(sign) for message in request.messages for sign in message.content)
        return Completion(
            text=answer,
            usage=Usage(len(prompt), len(answer), 1),
            prompt_ids=prompt,
            output_ids=tuple(map(ord, answer)),
            logprobs=(-0.5,) * len(answer),
            model=self.name,
            weight_version=self.weight_version,
        )

    def asked(self, role: str) -> list[Request]:
        """The requests of one role, in the order of arrival."""
        return [request for request in self.log if request.role == role]


@dataclass
class ScriptedCritic:
    """Judges by a function of the case."""

    judge: Callable[[Case], Feedback]
    name: str = "scripted"
    seen: list[tuple[Case, bool]] = field(default_factory=list)

    async def acritique(self, cases: Sequence[Case], *, critiques: bool = True) -> list[Feedback]:
        self.seen += [(case, critiques) for case in cases]
        return [self.judge(case) for case in cases]


def last(request: Request) -> str:
    """The last message's text."""
    return request.messages[-1].content


def random_latency(seed: int, most_s: float = 0.004) -> Callable[[Request], float]:
    """Latencies that differ from seed to seed."""
    draw = random.Random(seed)
    return lambda _: draw.random() * most_s


def echo(request: Request) -> str:
    """An answer that depends on the question and the seed, and nothing else."""
    return f"<{last(request)}|{request.seed % 1000}>"
