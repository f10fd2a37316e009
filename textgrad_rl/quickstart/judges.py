"""Judges for the critics that the embedded model cannot play: it reads no groups and has no head for scores.

Both know the arithmetic of the quickstart's questions and nothing else. Left out: judges of any other task.
"""

from __future__ import annotations

import random
import re
from typing import Any

import textgrad_rl as tgr
from textgrad_rl.pocket import texts
from textgrad_rl.pocket.misconceptions import DIFFICULTIES
from textgrad_rl.pocket.questions import draw_from, parse
from textgrad_rl.pocket.simulate import respond

_FENCED = re.compile(r"<response (\w+)>\n(.*?)\n</response \1>", re.DOTALL)
_STEPS = 100
_BATCH = 32


def ranking_judge() -> tgr.FunctionModel:
    """Return a program that answers as the judge of ``Rank`` does, by recomputing every step.

    A right response scores 1, any other half the share of its steps that come before the first wrong one.
    """

    def answer(request: tgr.Request) -> str:
        asked = request.messages[-1].content
        question = parse(asked.splitlines()[0].removeprefix("Question: "))
        said = ((tag, texts.critique(question, response)) for tag, response in _FENCED.findall(asked))
        return "\n".join(f"{tag}: {_score(critique, len(question.rest))} {critique}" for tag, critique in said)

    return tgr.FunctionModel(answer, name="recompute")


def _score(critique: str, steps: int) -> float:
    return 1.0 if texts.verdict(critique) else round(0.5 * min(1.0, critique.count(", right.") / steps), 3)


def reward_model(policy: Any, *, steps: int = _STEPS, seed: int = 0) -> tuple[Any, Any]:
    """Return the embedded model with a head that tells right solutions from wrong ones, and its tokenizer.

    Trained here, on solutions made up with and without misconceptions to questions of the training split, by
    ``-log sigmoid(z)`` of right and ``-log sigmoid(-z)`` of wrong ones: no token is sampled for it.

    Args:
        policy: the embedded model; its weights are where training starts, and stay as they are.
        steps: of 32 solutions each.
        seed: of data and head.
    """
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    rng = random.Random(seed)
    tokenizer, model = policy.tokenizer, _with_head(policy, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    for _ in range(steps):
        shown, labels = zip(*(_solution(rng) for _ in range(_BATCH)), strict=True)
        chats = tokenizer.apply_chat_template(list(shown), tokenize=False)
        inputs = tokenizer(chats, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt")
        logits_B = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, 0]
        binary_cross_entropy_with_logits(logits_B, torch.tensor(labels)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval(), tokenizer


def _with_head(policy: Any, seed: int) -> Any:
    """Return a sequence classification model of one logit with the policy's weights below its head."""
    import torch
    from transformers import AutoModelForSequenceClassification

    config = type(policy.model.config).from_dict(
        policy.model.config.to_dict()
        | {"id2label": {0: "right"}, "label2id": {"right": 0}, "pad_token_id": policy.tokenizer.pad_token_id}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation="sdpa")
    model.base_model.load_state_dict(policy.model.base_model.state_dict())
    return model


def _solution(rng: random.Random) -> tuple[list[dict[str, str]], float]:
    """Return a conversation and whether its answer is right."""
    question = draw_from("train", rng)
    said = respond(question, "", DIFFICULTIES["hard"], rng, scale=rng.choice((0.3, 1.0)), slips=rng.random() < 0.1)
    right = texts.extract_answer(said) == question.answer
    return [{"role": "user", "content": question.text}, {"role": "assistant", "content": said}], float(right)
