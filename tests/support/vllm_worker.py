"""Everything that tests want to know of vLLM, found out in one process: its global state stays out of the tests' own.

    python vllm_worker.py

Prints one line of JSON on stdout, after whatever vLLM has to say: findings by name, which test_vllm.py reads.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import textgrad_rl as tgr
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies import Optimizer, Row, Segment
from textgrad_rl.policies.protocol import Policy

QUESTIONS = [
    f"State the final answer to the following arithmetic problem: {n} + {3 * n} + {7 * n} =" for n in range(16)
]


def request(question: str, seed: int, **options: Any) -> tgr.Request:
    history = options.pop("history_ids", ())
    return tgr.Request(
        messages=options.pop("messages", (tgr.Message("user", question),)),
        seed=seed,
        history_ids=history,
        sampling=tgr.Sampling(**{"max_tokens": 48, **options}),
    )


def ask(model: Any, requests: Sequence[tgr.Request]) -> list[tgr.Completion]:
    async def gather() -> list[tgr.Completion]:
        return await asyncio.gather(*(model.complete(item) for item in requests))

    return asyncio.run(gather())


def rows_of(answers: Sequence[tgr.Completion], temperature: float = 1.0) -> list[Row]:
    return [
        Row(
            context=Segment(answer.prompt_ids),
            output_ids=answer.output_ids,
            logprobs=answer.logprobs,
            advantage=1.0 if sum(answer.output_ids) % 2 else -1.0,
            reward=0.0,
            group="all",
            temperature=temperature,
        )
        for answer in answers
    ]


def worst(answers: Sequence[tgr.Completion], model: Any, temperature: float = 1.0) -> float:
    """The largest difference between the sampler's log-probabilities and those of a trainer."""
    told = model.log_probs(rows_of(answers, temperature))
    pairs = [
        (a, b) for answer, mine in zip(answers, told, strict=True) for a, b in zip(answer.logprobs, mine, strict=True)
    ]
    return max(abs(a - b) for a, b in pairs)


def update(policy: Any, answers: Sequence[tgr.Completion]) -> None:
    policy.forward_backward(rows_of(answers), PolicyLoss())
    policy.optimizer_step(Optimizer(learning_rate=2e-4))


def brief(answer: tgr.Completion) -> dict[str, Any]:
    return {
        "text": answer.text,
        "reason": answer.finish_reason,
        "prompt_ids": answer.prompt_ids,
        "output_ids": answer.output_ids,
        "logprobs": answer.logprobs,
        "version": answer.weight_version,
        "usage": (answer.usage.prompt_tokens, answer.usage.generated_tokens, answer.usage.calls),
    }


def sampling(policy: Any, peer: Any) -> dict[str, Any]:
    requests = [request(question, seed) for question in QUESTIONS for seed in range(8)]
    answers = ask(policy, requests)
    again = ask(policy, requests[::-1])[::-1]
    alone = ask(policy, requests[5:6])
    hot = ask(policy, [request(question, seed, temperature=2.0) for question in QUESTIONS for seed in range(4)])
    text = answers[0].text
    (stopped,) = ask(policy, [request(QUESTIONS[0], 0, stop=(text[2:4],))])
    (short,) = ask(policy, [request(QUESTIONS[0], 0, max_tokens=2)])
    (greedy,) = ask(policy, [request(QUESTIONS[0], 0, temperature=0.0)])
    (theirs,) = ask(peer, [request(QUESTIONS[0], 0, temperature=0.0)])
    turns = (tgr.Message("user", QUESTIONS[0]), tgr.Message("assistant", text), tgr.Message("user", "Check it."))
    history = answers[0].prompt_ids + answers[0].output_ids
    (turn,) = ask(policy, [request("", 1, messages=turns, history_ids=history)])
    (peer_turn,) = ask(peer, [request("", 1, messages=turns, history_ids=history)])
    try:
        ask(policy, [request("1 " * 5000, 0)])
        refused = ""
    except tgr.ModelError as error:
        refused = str(error)
    return {
        "tokens": sum(len(answer.output_ids) for answer in answers),
        "worst": worst(answers, policy),
        "worst_hot": worst(hot, policy, 2.0),
        "first": brief(answers[0]),
        "same_tokens": [answer.output_ids for answer in answers] == [answer.output_ids for answer in again],
        "same_alone": alone[0].output_ids == answers[5].output_ids,
        "different": len({answer.output_ids for answer in hot[:4]}),
        "stop": text[2:4],
        "stopped": brief(stopped),
        "short": brief(short),
        "greedy": brief(greedy),
        "peer_greedy": brief(theirs),
        "history": history,
        "turn": brief(turn),
        "peer_turn": brief(peer_turn),
        "refused": refused,
    }


def training(policy: Any, old: Any) -> dict[str, Any]:
    requests = [request(question, seed) for question in QUESTIONS for seed in range(4)]
    before = ask(policy, requests)
    update(policy, before)
    unpublished = ask(policy, requests)
    policy.publish()
    versions = [policy.weight_version]
    for step in range(9):
        answers = ask(policy, [request(question, 100 * step + 7) for question in QUESTIONS])
        versions.append(answers[0].weight_version)
        update(policy, answers)
        policy.publish()
    after = ask(policy, requests)
    with tempfile.TemporaryDirectory() as folder:
        policy.save(Path(folder) / "kept")
        kept = ask(policy, requests)
        update(policy, kept)
        policy.publish()
        moved = ask(policy, requests)
        policy.load(Path(folder) / "kept")
        back = ask(policy, requests)
    return {
        "unpublished_same": [a.logprobs for a in unpublished] == [a.logprobs for a in before],
        "versions": versions,
        "version": {answer.weight_version for answer in after}.pop(),
        "new": worst(after, policy),
        "old": worst(after, old),
        "moved": [a.logprobs for a in moved] != [a.logprobs for a in kept],
        "restored": worst(back, policy),
        "restored_version": back[0].weight_version,
    }


def looping() -> dict[str, Any]:
    """Two steps of the Trainer over a graph."""

    class Solver(tgr.Graph):
        def __init__(self, policy: Any) -> None:
            self.solve = tgr.LLM(policy, template="{question}", sampling=tgr.Sampling(temperature=1.5, max_tokens=256))

        async def forward(self, question: Any) -> Any:
            return await self.solve(question=question)

    policy = tgr.load_policy("pocket", engine="vllm", deterministic=True)
    twice = [[answer.logprobs for answer in ask(policy, [request(QUESTIONS[0], 1)])] for _ in range(2)]
    examples = [tgr.Example({"question": question}, answer="1") for question in QUESTIONS]
    first = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    trainer = tgr.Trainer(
        Solver(policy),
        critic=tgr.critics.Verifier(lambda output, _: float(len(output) % 3)),
        metric=None,
        weights=replace(tgr.GRPO(learning_rate=1e-4), updates=2),
        samples=4,
        examples_per_step=4,
        deterministic=True,
        evaluate_every=None,
    )
    report = trainer.fit(tgr.Task("sums", train=examples), steps=2)
    after = ask(policy, [request(question, 1) for question in QUESTIONS])
    policy.close()
    return {
        "stopped": report.stopped,
        "metrics": dict(report.history[-1].metrics),
        "version": policy.weight_version,
        "moved": any(not torch.equal(first[name], tensor) for name, tensor in policy.model.state_dict().items()),
        "worst": worst(after, policy),
        "twice": twice[0] == twice[1],
    }


def beside(policy: Any) -> dict[str, Any]:
    """What else there can be while an engine runs: a fork that transformers samples, no second engine."""
    (before,) = ask(policy, [request(QUESTIONS[0], 1)])
    fork = policy.fork("other")
    update(fork, ask(fork, [request(question, 1) for question in QUESTIONS]))
    fork.publish()
    (after,) = ask(policy, [request(QUESTIONS[0], 1)])
    try:
        tgr.load_model("vllm:pocket")
        refused = ""
    except tgr.ConfigError as error:
        refused = str(error)
    return {"untouched": before.logprobs == after.logprobs, "fork": type(fork).__name__, "refused": refused}


def adapter() -> dict[str, Any]:
    policy = tgr.load_policy("pocket", engine="vllm", lora={"rank": 4})
    requests = [request(question, 1) for question in QUESTIONS]
    before = ask(policy, requests)
    for _ in range(3):
        update(policy, before)
    policy.publish()
    after = ask(policy, requests)
    policy.close()
    return {"worst": worst(after, policy), "moved": [a.logprobs for a in after] != [b.logprobs for b in before]}


def frozen() -> dict[str, Any]:
    model = tgr.load_model("vllm:pocket")
    answers = ask(model, [request(question, 1) for question in QUESTIONS])
    model.close()
    return {"worst": worst(answers, tgr.load_policy("pocket")), "name": model.name, "trainable": model.trainable}


def main() -> None:
    peer = tgr.load_policy("pocket")
    states, set_num_threads = (torch.get_rng_state(), random.getstate()), torch.set_num_threads
    policy = tgr.load_policy("pocket", engine="vllm")
    random_kept = torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    found: dict[str, Any] = {
        "undisturbed": random_kept and torch.set_num_threads is set_num_threads,
        "is_policy": isinstance(policy, Policy),
    }
    found["sampling"] = sampling(policy, peer)
    found["training"] = training(policy, peer)
    found["beside"] = beside(policy)
    policy.close()
    for name, part in {"looping": looping, "adapter": adapter, "frozen": frozen}.items():
        found[name] = part()
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
