"""TextGrad's side of graph_overhead.py, run by the Python that has it: prints one JSON object.

A chain of ``BlackboxLLM`` calls with an instant engine, logging off. A node has two edges: its prompt and its input.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import textgrad  # type: ignore[import-not-found,unused-ignore]
from textgrad.engine.base import EngineLM  # type: ignore[import-not-found,unused-ignore]


class Instant(EngineLM):  # type: ignore[misc,unused-ignore]
    """Answers at once."""

    model_string = "instant"
    system_prompt = ""

    def generate(self, prompt: str, system_prompt: str | None = None, **_: Any) -> str:
        return "yes"

    __call__ = generate


def best_us(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times) * 1e6


def chain(engine: EngineLM, prompt: Any, nodes: int) -> Any:
    model = textgrad.BlackboxLLM(engine, system_prompt=prompt)
    value = textgrad.Variable("q", requires_grad=False, role_description="question")
    for _ in range(nodes):
        value = model(value)
    return value


def backward(engine: EngineLM, output: Any) -> None:
    output.gradients = {textgrad.Variable("Wrong.", requires_grad=False, role_description="critique")}
    output.backward(engine)


def main(nodes: int, repeats: int, most: int) -> dict[str, Any]:
    logging.disable(logging.CRITICAL)
    engine = Instant()
    prompt = textgrad.Variable("Solve.", requires_grad=True, role_description="system prompt")
    result: dict[str, Any] = {"version": version("textgrad")}
    result["forward"] = best_us(lambda: chain(engine, prompt, nodes), repeats) / nodes

    outputs = [chain(engine, prompt, nodes) for _ in range(repeats)]
    result["backward"] = best_us(lambda: backward(engine, outputs.pop()), repeats) / nodes

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = chain(engine, prompt, nodes)
    result["kept"] = (tracemalloc.get_traced_memory()[0] - before) / nodes
    tracemalloc.stop()
    del kept

    result["fails_at"] = None
    for length in range(400, most + 1, 400):
        try:
            backward(engine, chain(engine, prompt, length))
        except RecursionError:
            result["fails_at"] = length
            break
    return result


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:]))))
