"""What the graph itself costs, with a model that answers at once: time and memory per node, and how both grow.

    python benchmarks/graph_overhead.py [--quick] [--json PATH] [--peer-python PATH]

Times are CPU time, the best of many short runs, so that other work on the machine counts little. The model hands out a
completion made before. An LLM node has two edges: its trainable prompt and its input. "linear" is the time per node of
a chain of 5,000 divided by that of a chain of 500. TextGrad runs in the Python given by --peer-python, which may be
this one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from _common import Row, report, row

import textgrad_rl_graphs as tgr
from textgrad_rl.models.function import FunctionModel
from textgrad_rl_graphs.feedback import Case
from textgrad_rl_graphs.records import call_record, dump_lines

ANSWER = tgr.Completion(text="yes", usage=tgr.Usage(1, 1, 1), model="instant")
ADVICE = tgr.Completion(
    text='{"system": "Be brief.", "input.text": "Say more."}', usage=tgr.Usage(1, 1, 1), model="instant"
)
WRONG = tgr.Feedback(score=0.0, correct=False, critique="Wrong.")


class Chain(tgr.Graph):
    """A node, again and again."""

    def __init__(self, node: tgr.LLM | tgr.Function, length: int) -> None:
        self.node = node
        self.length = length

    async def forward(self, text: tgr.Value) -> tgr.Value:
        for _ in range(self.length):
            text = await self.node(text=text)
        return text


class Wide(Chain):
    """Many calls side by side, all read by one."""

    async def forward(self, text: tgr.Value) -> tgr.Value:
        return tgr.join(*await asyncio.gather(*(self.node(text=text) for _ in range(self.length))))


class Diamonds(Chain):
    """Two calls on the same text, put together and split again."""

    async def forward(self, text: tgr.Value) -> tgr.Value:
        for _ in range(self.length // 3):
            text = tgr.join(*await asyncio.gather(self.node(text=text), self.node(text=text)), separator="")
            text = tgr.join(text)
        return text


class Right:
    """A critic that is content."""

    name = "right"

    async def acritique(self, cases: Sequence[Case], *, critiques: bool = True) -> list[tgr.Feedback]:
        return [tgr.Feedback(score=1.0, correct=True) for _ in cases]


def llm() -> tgr.LLM:
    model = FunctionModel(lambda _: ANSWER, name="instant", dialect="json")
    return tgr.LLM(model, system=tgr.Prompt("Solve."), template="{text}")


def function() -> tgr.Function:
    return tgr.Function(lambda text: text, effects="none")


ADVISER = FunctionModel(lambda _: ADVICE, name="adviser", dialect="json")


async def best_us(action: Callable[[], Awaitable[object]], repeats: int) -> float:
    """Return the CPU time of the fastest run in microseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        await action()
        times.append(time.process_time() - start)
    return min(times) * 1e6


async def forward_us(graph: Chain, repeats: int) -> float:
    return await best_us(lambda: graph.arun({"text": "q"}), repeats) / graph.length


async def backward_us(graph: Chain, repeats: int) -> float:
    trace = await graph.arun({"text": "q"})
    return await best_us(lambda: tgr.abackward([trace], [WRONG], model=ADVISER), repeats) / graph.length


async def refine_us(graph: Chain, repeats: int) -> float:
    trace = await graph.arun({"text": "q"})
    gradients = await tgr.abackward([trace], [WRONG], model=ADVISER)
    return await best_us(lambda: tgr.arefine([trace], gradients, Right()), repeats) / graph.length


async def ordered_us(graph: Chain, repeats: int) -> float:
    trace = await graph.arun({"text": "q"})

    async def action() -> None:
        trace.ordered()

    return await best_us(action, repeats) / graph.length


async def records_us(graph: Chain, repeats: int) -> float:
    trace = await graph.arun({"text": "q"})

    async def action() -> None:
        dump_lines(call_record(trace, call) for call in trace.ordered())

    return await best_us(action, repeats) / graph.length


async def kept_bytes(graph: Chain) -> float:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    trace = await graph.arun({"text": "q"})
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return kept / len(trace.calls)


Measure = Callable[[Chain, int], Awaitable[float]]
GROWING: dict[str, Measure] = {
    "forward": forward_us, "backward": backward_us, "refine": refine_us, "ordered": ordered_us, "records": records_us,
}  # fmt: skip


async def measure(peer: dict[str, Any], quick: bool) -> list[Row]:
    nodes, repeats = 100, 50 if quick else 300
    name = f"textgrad {peer['version']}" if "version" in peer else f"textgrad: {peer['error']}"
    ours = {"peer_name": name}
    rows = [
        row("forward, LLM node", "us/node", await forward_us(Chain(llm(), nodes), repeats), target=15.0,
            peer=peer.get("forward"), **ours),
        row("forward, Function node", "us/node", await forward_us(Chain(function(), nodes), repeats), target=15.0),
        row("backward, LLM node", "us/node", await backward_us(Chain(llm(), nodes), repeats), target=25.0,
            peer=peer.get("backward"), **ours),
        row("kept", "bytes/node", await kept_bytes(Chain(llm(), 1000)), target=3072.0, peer=peer.get("kept"), **ours),
        row("forward, side by side", "us/node", await forward_us(Wide(llm(), nodes), repeats)),
        row("backward, side by side", "us/node", await backward_us(Wide(llm(), nodes), repeats)),
        row("forward, diamonds", "us/node", await forward_us(Diamonds(llm(), nodes), repeats)),
        row("backward, diamonds", "us/node", await backward_us(Diamonds(llm(), nodes), repeats)),
    ]  # fmt: skip
    fails = peer.get("fails_at")
    fails_name = name if fails is None else f"{name}: RecursionError at {fails:,} nodes"
    long_repeats = 3 if quick else 10
    for case, measured in GROWING.items():
        short = await measured(Chain(llm(), 500), 4 * long_repeats)
        long = await measured(Chain(llm(), 5000), long_repeats)
        rows.append(
            row(f"{case}, 5,000 nodes in a chain", "us/node", long, peer_name=fails_name if case == "backward" else "")
        )
        rows.append(row(f"{case}, linear", "ratio", long / short, target=2.0))
    return rows


def run_peer(python: str, quick: bool) -> dict[str, Any]:
    """Measure TextGrad in another process; it opens a log file where it runs."""
    script = Path(__file__).with_name("_textgrad_overhead.py").resolve()
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [python, str(script), "100", "20" if quick else "100", "2000"],
                cwd=folder, capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
        except OSError as error:
            return {"error": str(error)}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    parser.add_argument("--json", metavar="PATH", help="write the rows there")
    parser.add_argument("--peer-python", metavar="PATH", default=sys.executable, help="a Python that has textgrad")
    options = parser.parse_args()
    peer = run_peer(options.peer_python, options.quick)
    rows = asyncio.run(measure(peer, options.quick))
    report("graph_overhead", rows, options.json, textgrad=str(peer.get("version", "not run")))


if __name__ == "__main__":
    main()
