"""Judges for the critics that the embedded model cannot play: it reads no groups and has no head for scores.

Both know the arithmetic of the quickstart's questions and nothing else. Left out: judges of any other task.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import textgrad_rl as tgr
from textgrad_rl.pocket import texts
from textgrad_rl.pocket.misconceptions import DIFFICULTIES
from textgrad_rl.pocket.questions import draw_from, parse
from textgrad_rl.pocket.simulate import respond

if TYPE_CHECKING:
    from torch import Tensor

_FENCED = re.compile(r"<response (\w+)>\n(.*?)\n</response \1>", re.DOTALL)
_STEPS = 60
_BATCH = 16
_TOGETHER = 4

Labelled = tuple[list[int], list[float], list[float]]
"""A solution's tokens; for each, whether all is right so far; and its weight, 0 in the question."""


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

    Trained here, on solutions made up with and without misconceptions to questions of the training split: no token is
    sampled for it. The loss is ``-log sigmoid(z)`` where all is right so far and ``-log sigmoid(-z)`` elsewhere, at the
    last token by the answer, and with a smaller weight at the others, of which a solution has fifty: steps are labelled
    as in Let's Verify Step by Step, https://arxiv.org/abs/2305.20050.

    Args:
        policy: the embedded model; its weights are where training starts, and stay as they are.
        steps: of 16 solutions each.
        seed: of data and head.
    """
    import torch

    rng = random.Random(seed)
    tokenizer, model = policy.tokenizer, _with_head(policy, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    for _ in range(steps):
        batch = sorted((_solution(tokenizer, rng) for _ in range(_BATCH)), key=lambda item: len(item[0]))
        for start in range(0, _BATCH, _TOGETHER):  # of like length: of all at once, nearly half would be padding
            (_loss(model, batch[start : start + _TOGETHER]) / _BATCH).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval(), tokenizer


def _loss(model: Any, solutions: Sequence[Labelled]) -> Tensor:
    """Return the weighted loss, summed; what is padded on the right is never seen by a causal model."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits
    from torch.nn.utils.rnn import pad_sequence

    ids_BT, labels_BT, weights_BT = (
        pad_sequence([torch.tensor(row) for row in rows], batch_first=True) for rows in zip(*solutions, strict=True)
    )
    logits_BT = model.score(model.base_model(input_ids=ids_BT, use_cache=False).last_hidden_state)[..., 0]
    return binary_cross_entropy_with_logits(logits_BT, labels_BT, weights_BT, reduction="sum")


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


def _solution(tokenizer: Any, rng: random.Random) -> Labelled:
    """Make up a solution and label it up to its first mistake."""
    question = draw_from("train", rng)
    said = respond(question, "", DIFFICULTIES["hard"], rng, scale=rng.choice((0.3, 1.0)), slips=rng.random() < 0.1)
    turns = [{"role": "user", "content": question.text}, {"role": "assistant", "content": said}]
    chat = tokenizer.apply_chat_template(turns, tokenize=False)
    encoded = tokenizer(chat, add_special_tokens=False, return_offsets_mapping=True)
    start = chat.rindex(said)
    ends = [end - start for _, end in encoded["offset_mapping"]]
    agree = [ours == theirs for ours, theirs in zip(said, texts.solve(question), strict=False)]
    sound = agree.index(False) if False in agree else len(chat)
    labels = [float(end <= sound) for end in ends]
    labels[-1] = float(texts.extract_answer(said) == question.answer)
    weights = [0.8 * (end > 0) / sum(end > 0 for end in ends) for end in ends]
    weights[-1] += 0.2
    return encoded["input_ids"], labels, weights
