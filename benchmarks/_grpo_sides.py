"""The sides of grpo_step.py: one model, one tokenizer, one kind of prompt; runs with the Python that has the side.

    python _grpo_sides.py SIDE '{"prompt": 32, "completion": 64, "groups": 8, "samples": 8}'

Says its version in one line of JSON, then makes one optimizer step per line it reads and answers with the CPU seconds
``cpu`` of this process, the tokens ``generated`` on average per answer, and ``peak_mb``: how far the peak of its
resident memory has come above what it was after the imports.
"""

from __future__ import annotations

import importlib.metadata
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from _side import run_side, say

Workload = dict[str, Any]
VOCABULARY, PAD = 2048, 0
ENDS = 31
"""With random weights answers end after 2048 / 31 = 66 tokens on average where so many tokens end them."""


def model(workload: Workload) -> Any:
    """Return 2.2 M random weights, Qwen3-shaped; with ``"ends"``, some of its tokens end an answer."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
        num_key_value_heads=3, head_dim=32, max_position_embeddings=1024, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, pad_token_id=PAD,
    )  # fmt: skip
    made = Qwen3ForCausalLM(config)
    made.generation_config.eos_token_id = list(range(VOCABULARY - ENDS, VOCABULARY)) if workload.get("ends") else None
    return made


def tokenizer() -> Any:
    """Return one whose tokens are words; its EOS is no token of the model, so answers have the length that is asked."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{number}": number for number in range(VOCABULARY)} | {"<end>": VOCABULARY}
    made = Tokenizer(models.WordLevel(words, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    template = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="w0", eos_token="<end>", unk_token="w0", chat_template=template
    )


def prompts(workload: Workload, step: int) -> list[str]:
    """Return prompts of so many tokens, the same for every side."""
    draw = random.Random(step)
    return [
        " ".join(f"w{draw.randrange(1, VOCABULARY)}" for _ in range(workload["prompt"]))
        for _ in range(workload["groups"])
    ]


def reward(ids: Sequence[int]) -> float:
    """Return some number that hardly any two answers of a group share."""
    return float(sum(ids) % 101)


class Steps:
    """Reads for which step the clock starts, and says what it took."""

    def __init__(self, imported_mb: float) -> None:
        self.imported_mb = imported_mb
        self.started = 0.0

    def wait(self) -> None:
        """Wait for the next line; the process ends after the last."""
        if not sys.stdin.readline():
            sys.exit(0)
        self.started = time.process_time()

    def done(self, lengths: Sequence[int]) -> None:
        """Say what the step took."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - self.imported_mb
        cpu = time.process_time() - self.started
        say({"cpu": cpu, "generated": sum(lengths) / len(lengths), "peak_mb": peak})


def ours(workload: Workload, version: str) -> None:
    """Decode and train through the policy: a seed per row, a stop string, entropy, refinements if asked for."""
    import asyncio
    import statistics

    import torch  # noqa: F401
    import transformers.models.qwen3.modeling_qwen3  # noqa: F401

    from textgrad_rl import Message, Request, Sampling
    from textgrad_rl.methods.losses import PolicyLoss
    from textgrad_rl.methods.shaping import Shaped
    from textgrad_rl.models.transformers import TransformersModel
    from textgrad_rl.policies import Optimizer, Row, Segment, TransformersPolicy

    steps = Steps(resident_mb())
    say({"version": version})
    policy = TransformersPolicy(TransformersModel(model(workload), tokenizer(), name="bench", deterministic=True))
    sampling = Sampling(temperature=1.0, max_tokens=workload["completion"], stop=("never said",))
    refined = workload.get("refinements", 0)
    loss = PolicyLoss(refinement=Shaped(gamma=0.1), aggregation="group_sum") if refined else PolicyLoss()

    async def answers(texts: Sequence[str]) -> list[Any]:
        requests = (
            Request(messages=(Message("user", text),), seed=seed, sampling=sampling) for seed, text in enumerate(texts)
        )
        return await asyncio.gather(*(policy.complete(request) for request in requests))

    def row(group: int, context: Segment, answer: Any, mean: float, kind: Any) -> Row:
        score = reward(answer.output_ids)
        return Row(
            context=context, output_ids=answer.output_ids, logprobs=answer.logprobs, advantage=score - mean,
            reward=score, group=str(group), kind=kind,
        )  # fmt: skip

    def train(step: int) -> list[int]:
        texts = prompts(workload, step)
        first = asyncio.run(answers([text for text in texts for _ in range(workload["samples"])]))
        again = [
            f"{texts[group]} {first[group * workload['samples'] + member].text} " + "w1 " * 16  # critique, instruction
            for group in range(len(texts))
            for member in range(refined)
        ]
        second = asyncio.run(answers(again)) if again else []
        rows = []
        for group in range(len(texts)):
            members = first[group * workload["samples"] : (group + 1) * workload["samples"]]
            kept = second[group * refined : group * refined + 1]
            mean = statistics.fmean(reward(answer.output_ids) for answer in (*members, *kept))
            context = Segment(members[0].prompt_ids)
            rows += [row(group, context, answer, mean, "sample") for answer in members]
            rows += [row(group, context, answer, mean, "refinement") for answer in kept]
        policy.forward_backward(rows, loss)
        policy.optimizer_step(Optimizer(learning_rate=1e-6))
        policy.publish()
        return [len(answer.output_ids) for answer in (*first, *second)]

    for step in range(1000):
        steps.wait()
        steps.done(train(step))


def trl(workload: Workload, version: str) -> None:
    """TRL's GRPOTrainer with its transformers generation: one optimizer step on one generation batch.

    Against its defaults: float32, no gradient checkpointing, the whole batch in one forward pass, nothing saved,
    logged or reported.
    """
    import tempfile

    import torch  # noqa: F401
    import transformers.models.qwen3.modeling_qwen3  # noqa: F401
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    steps = Steps(resident_mb())
    say({"version": version})
    lengths: list[int] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            steps.wait()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.done(lengths)

    def score(completion_ids: list[list[int]], **_: Any) -> list[float]:
        lengths[:] = map(len, completion_ids)
        return [reward(ids) for ids in completion_ids]

    rows = workload["groups"] * workload["samples"]
    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(
            output_dir=folder, per_device_train_batch_size=rows, num_generations=workload["samples"],
            max_completion_length=workload["completion"], max_steps=1000, learning_rate=1e-6, temperature=1.0,
            use_cpu=True, bf16=False, gradient_checkpointing=False, shuffle_dataset=False, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, log_completions=False,
        )  # fmt: skip
        data = Dataset.from_list([{"prompt": text} for step in range(20) for text in prompts(workload, step)])
        GRPOTrainer(
            model(workload), score, config, train_dataset=data, processing_class=tokenizer(), callbacks=[Clock()]
        ).train()


def resident_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


SIDES: dict[str, tuple[str, Callable[[Workload, str], None]]] = {"ours": ("textgrad-rl", ours), "trl": ("trl", trl)}


def run(name: str, workload: Workload) -> None:
    package, side = SIDES[name]
    side(workload, f"{package} {importlib.metadata.version(package)}")


if __name__ == "__main__":
    run_side(run)
