"""One text step over HTTP (forward, critique, backward, rewrite): seconds and calls, beside the peers.

    python benchmarks/text_step.py [--quick] [--json PATH] [--peer-python PATH]

A server of fixed latency in a process of its own answers every side. All answers are wrong, so that nobody may skip
work. Each side is warmed up by a step on two questions, the sides take turns, figures are medians. Peers run in a
Python that has them (the extra ``bench``, or one named by --peer-python), each driven as its documentation does.

What a step on n questions is, in calls and dependent hops:

    ours                     n forward, n backward, 1 rewrite                                   2n + 1, 3 hops
    ours, no call saved      the same, and n that explain the loss, as TextGrad has it          3n + 1, 4 hops
    textgrad, adalflow       n forward, n through the loss, n through the model, 1 update       3n + 1, 4 hops at best
    gepa, dspy.GEPA          n on the validation set, n of a minibatch, 1 reflection, n again   3n + 1, 4 hops
    trace (OptoPrime)        n forward, 1 update that sees the whole graph                      n + 1
    ours, 3 stages, critic   3n forward, n critiques, 3n backward, 3 rewrites                   7n + 3, 8 hops
    textgrad, the same       3n forward, n losses, 6n backward (per edge), 3 updates            10n + 3

Left out: prices, and the quality of what comes out, since the server knows no mathematics.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from _common import Row, report, row
from _latency_server import LatencyServer
from _text_peers import SIDES, answer, question
from _turns import Peer, Side, Taken, Turn, named, take_turns

import textgrad_rl as tgr
from textgrad_rl.critics import ChainOfThought, Critic, Indicative, Verifier
from textgrad_rl.models.chat_completions import response_format
from textgrad_rl.models.litellm import LiteLLM
from textgrad_rl.models.openai_compatible import OpenAICompatible
from textgrad_rl.models.retry import backoff_s

# ---- our side --------------------------------------------------------------------------------------------------------


class Stages(tgr.Graph):
    """LLM nodes one after the other, each with a trainable prompt."""

    def __init__(self, model: tgr.Model, stages: int = 1) -> None:
        self.stages = [tgr.LLM(model, system=tgr.Prompt("Solve it."), template="{text}") for _ in range(stages)]

    async def forward(self, question: tgr.Value) -> tgr.Value:
        value = question
        for stage in self.stages:
            value = await stage(text=value)
        return value


class Explained(tgr.Graph):
    """One LLM node, and the comparison with the answer as a node that a model explains, as TextGrad has it."""

    def __init__(self, model: tgr.Model) -> None:
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve it."), template="{text}")
        self.compare = tgr.Function(_compare, describe="compares with the answer", backward="explain", effects="none")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.compare(solution=await self.solve(text=question))


def _compare(solution: str) -> str:
    return f"Compared with the answer, this solution is wrong: {solution}"


def python_loss() -> Critic:
    """Return a loss without a model: right or wrong, with the answer."""
    return Indicative(Verifier(), reveal="answer")


async def step(graph: tgr.Graph, critic: Critic, model: tgr.Model, batch: int) -> tgr.Gradients:
    """Make a text step on a batch and return its gradients."""
    examples = [tgr.Example({"question": question(index)}, answer=answer(index)) for index in range(batch)]
    traces = await graph.arun_many(examples)
    feedback = await critic.acritique([tgr.Case.of(trace) for trace in traces])
    gradients = await tgr.abackward(traces, feedback, model=model)
    for proposal in await tgr.TextualGradientDescent(model=model).apropose(graph.parameters(), gradients):
        proposal.prompt.text = proposal.text
    return gradients


async def timed(work: Awaitable[object]) -> Turn:
    """Return the seconds of some work, by the clock and of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    result = await work
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "result": result}


class Recorder:
    """A model that keeps what it was asked."""

    def __init__(self, model: tgr.Model) -> None:
        self.model, self.name, self.dialect = model, model.name, model.dialect
        self.trainable, self.weight_version = model.trainable, model.weight_version
        self.asked: dict[str, list[tgr.Request]] = defaultdict(list)

    async def complete(self, request: tgr.Request) -> tgr.Completion:
        self.asked[request.role].append(request)
        return await self.model.complete(request)


async def bare_litellm(hops: list[list[tgr.Request]], url: str) -> None:
    """Send the calls of a step as a user of litellm would: one gather after the other."""
    import litellm

    for hop in hops:
        calls = (
            litellm.acompletion(
                model="openai/stub", api_base=url, api_key="-", temperature=1.0, seed=request.seed,
                messages=[{"role": message.role, "content": message.content} for message in request.messages],
                **({} if request.schema is None else {"response_format": response_format(request.schema)}),
            )
            for request in hop
        )  # fmt: skip
        await asyncio.gather(*calls)


# ---- workloads -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bench:
    """What all workloads use.

    Attributes:
        server: answers every side.
        run: runs a coroutine, always on the same event loop, so that connections live on as those of the peers do.
        peer_python: the interpreter of the peers.
        quick: small batches and few turns.
        versions: of the peers that were met.
    """

    server: LatencyServer
    run: Callable[[Coroutine[Any, Any, Any]], Any]
    peer_python: str
    quick: bool
    versions: dict[str, str]

    def ours(self, graph: Callable[[], tgr.Graph], critic: Critic, model: tgr.Model) -> Side:
        """Return our side on a fresh graph."""
        return lambda batch: self.run(timed(step(graph(), critic, model, batch)))

    def model(self) -> tgr.Model:
        """Return a model behind the server, over direct HTTP."""
        return OpenAICompatible(self.server.url, "stub", api_key="-")

    def peer(self, stack: ExitStack, name: str) -> Peer:
        """Start a peer that lives until the stack is closed."""
        peer = stack.enter_context(Peer(self.peer_python, name, self.server.url))
        if peer.version:
            self.versions[SIDES[name][0]] = peer.version
        return peer

    def turns(self, sides: dict[str, Side], *, batch: int, repeats: int, **settings: float) -> dict[str, Taken]:
        """Let sides take turns; one turn each if it has to be quick."""
        repeats = 1 if self.quick else repeats
        return named(take_turns(self.server, sides, batch=batch, repeats=repeats, **settings))


def one_prompt(bench: Bench) -> list[Row]:
    """One prompt, a loss in Python."""
    model = bench.model()
    litellm = LiteLLM("openai/stub", api_base=bench.server.url, api_key="-")
    recorder = Recorder(model)
    bench.server.reset(latency_s=0.001)
    bench.run(step(Stages(recorder), python_loss(), recorder, 16))
    hops = list(recorder.asked.values())
    with ExitStack() as stack:
        textgrad = bench.peer(stack, "textgrad")
        sides = {
            "ours": bench.ours(lambda: Stages(model), python_loss(), model),
            "ours over litellm": bench.ours(lambda: Stages(litellm), python_loss(), litellm),
            "bare litellm.acompletion": lambda batch: bench.run(timed(bare_litellm(hops, bench.server.url))),
            "textgrad as documented": textgrad.side(),
            "textgrad threaded by its user": textgrad.side(threads=16),
            **{name: bench.peer(stack, name).side() for name in ("gepa", "dspy", "trace", "adalflow")},
            # The same with as many calls as TextGrad makes: the loss is a node that a model explains.
            "ours, no call saved": bench.ours(lambda: Explained(model), python_loss(), model),
        }
        taken = bench.turns(sides, batch=16, repeats=5)
    ours, over_litellm, bare, *peers, unsaved = taken.values()
    case = "one prompt, batch 16"
    rows = [against(case, ours, peer, target=0.20) for peer in peers]
    rows.append(calls(case, ours, peers[0], target=33))
    allowed = bare.median()
    rows.append(against(f"{case}, over litellm", over_litellm, bare, target=allowed and 1.15 * allowed))
    return rows + [against(f"{case}, no call saved ({unsaved.calls} calls)", unsaved, peer) for peer in peers[:2]]


def three_stages(bench: Bench) -> list[Row]:
    """Three stages with a prompt each, a critic that is a model."""
    batch = 8 if bench.quick else 64
    model = bench.model()
    with ExitStack() as stack:
        textgrad = bench.peer(stack, "textgrad")
        sides = {
            "ours": bench.ours(lambda: Stages(model, 3), ChainOfThought(model, sees="answer"), model),
            "textgrad as documented": textgrad.side(stages=3, critic=True),
            "textgrad threaded by its user": textgrad.side(stages=3, critic=True, threads=batch),
        }
        ours, documented, threaded = bench.turns(sides, batch=batch, repeats=3).values()
    case = f"three stages, model as critic, batch {batch}"
    return [
        against(case, ours, documented, target=None if bench.quick else 0.8),
        against(case, ours, threaded, target=None if bench.quick else 0.8),
        against(f"{case}: processor time", ours, documented, what="cpu"),
        calls(case, ours, documented, target=7 * batch + 3),
    ]


def failing_server(bench: Bench) -> list[Row]:
    """One prompt; 10 % of all attempts get status 500."""
    batch, latency_s = (16, 0.1) if bench.quick else (64, 0.5)
    model = bench.model()
    with ExitStack() as stack:
        textgrad = bench.peer(stack, "textgrad")
        sides = {
            "ours": bench.ours(lambda: Stages(model), python_loss(), model),
            "textgrad threaded by its user": textgrad.side(threads=batch),
        }
        turns = partial(bench.turns, sides, batch=batch, repeats=3, latency_s=latency_s)
        clean, clean_textgrad = turns().values()
        failing, textgrad_failing = turns(fail_share=0.1).values()
    (before,), (after,) = ([turn["result"] for turn in side.turns[-1:]] for side in (clean, failing))
    same = [after.edges.get(edge) == gradient for edge, gradient in before.edges.items()]
    waits = [
        latency_s + max(backoff_s(attempt) for _ in range(1000))  # backoff is drawn; this is about its upper bound
        for rounds in failing.counts.rounds.values()
        for attempt in range(1, rounds + 1)
    ]
    case = f"10 % of calls fail, batch {batch}, latency {latency_s} s"
    seconds = clean.median()
    assert seconds is not None
    return [
        row(f"{case}: gradients as if none did", "share", sum(same) / len(same), target=1.0, higher_is_better=True),
        against(f"{case}, rounds of retries: {len(waits)}", failing, textgrad_failing, target=seconds + sum(waits)),
        row(
            f"{case}: calls, to those if none did", "ratio", failing.counts.calls / clean.counts.calls,
            peer=_ratio(textgrad_failing.calls, clean_textgrad.calls), peer_name=str(textgrad_failing), target=1.15,
        ),
    ]  # fmt: skip


def cached_again(bench: Bench) -> list[Row]:
    """One prompt, twice, each time in a new process, with the cache on."""
    found: list[Taken] = []
    for name, make in {"ours": _ours_cached, "textgrad as documented, its cache on": _textgrad_cached}.items():
        with tempfile.TemporaryDirectory() as folder:
            taken = Taken(name)
            for _ in range(2):
                bench.server.reset(latency_s=0.05)
                taken.turns = [make(bench, folder)]
                taken.counts = bench.server.counts()
            found.append(taken)
    ours, textgrad = found
    return [calls("one prompt, batch 16, again in a new process, cache on", ours, textgrad, target=0)]


def _ours_cached(bench: Bench, folder: str) -> Turn:
    code = f"import text_step; text_step.cached_step({bench.server.url!r}, {folder!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    return {"error": done.stderr.strip().split("\n")[-1]} if done.returncode else {"seconds": 0.0}


def _textgrad_cached(bench: Bench, folder: str) -> Turn:
    environment = {"XDG_CACHE_HOME": folder}
    with Peer(bench.peer_python, "textgrad cached", bench.server.url, environment) as peer:
        return peer.side()(16)


def cached_step(url: str, folder: str) -> None:
    """Make a step with a cache in a folder."""
    model = OpenAICompatible(url, "stub", api_key="-")
    with tgr.cached(folder):
        asyncio.run(step(Stages(model), python_loss(), model, 16))


# ---- rows ------------------------------------------------------------------------------------------------------------


def against(case: str, ours: Taken, peer: Taken, *, target: float | None = None, what: str = "seconds") -> Row:
    """Return the row that sets our seconds beside a peer's."""
    return row(case, "s", ours.median(what), peer=peer.median(what), peer_name=str(peer), target=target)


def calls(case: str, ours: Taken, peer: Taken, *, target: float) -> Row:
    """Return the row that sets our calls beside a peer's."""
    return row(f"{case}: calls", "calls", ours.calls, peer=peer.calls, peer_name=str(peer), target=target)


def _ratio(part: int | None, whole: int | None) -> float | None:
    return part / whole if part and whole else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--quick", action="store_true", help="small batches, one turn")
    parser.add_argument("--peer-python", default=sys.executable, help="an interpreter that has the peers")
    options = parser.parse_args()
    with LatencyServer() as server, asyncio.Runner() as runner:
        bench = Bench(server, runner.run, options.peer_python, options.quick, {})
        rows = [line for work in (one_prompt, three_stages, failing_server, cached_again) for line in work(bench)]
    report("text_step", rows, options.json, **bench.versions)


if __name__ == "__main__":
    main()
