"""Evaluations of critics, as their tables and pictures get them."""

from __future__ import annotations

from typing import Any

from textgrad_rl.critic_eval.evaluate import CriticEvaluation
from textgrad_rl.critic_eval.measures import Share
from textgrad_rl_graphs.types import Usage


def evaluation(**given: Any) -> CriticEvaluation:
    """What is not given is that of a critic that calls everything right."""
    half, all_, none = Share(0.5, 0.3, 0.7, 20), Share(1.0, 0.8, 1.0, 10), Share(0.0, 0.0, 0.2, 10)
    values: dict[str, Any] = {
        "n": 20, "unscored": 0, "critic_faults": 0, "policy_faults": 0, "accuracy": half, "true_positives": all_,
        "true_negatives": none, "auroc": 0.5, "component_aurocs": {}, "calibration_error": 0.5, "brier": 0.5,
        "refined_right": None, "sees": "nothing", "samples_per_second": 100.0, "cpu_seconds_per_sample": 0.01,
        "usage": Usage(),
    }  # fmt: skip
    return CriticEvaluation(**values | given)


def eleven_critics() -> dict[str, CriticEvaluation]:
    """Critics of the longest names that ship: some in the same place, some without verdicts, some that ask a model."""
    perfect = Share(1.0, 0.912, 1.0, 160)
    rule = {"accuracy": perfect, "auroc": 1.0, "cpu_seconds_per_sample": 0.00017, "samples_per_second": 11342.0}
    encoder = {"auroc": 1.0, "cpu_seconds_per_sample": 0.0386, "samples_per_second": 25.9, "sees": "solution"}
    scorer = {"accuracy": None, "true_positives": None, "true_negatives": None}
    judge = {"n": 160, "sees": "answer", "refined_right": Share(0.95, 0.86, 0.98, 95)}
    return {
        "verifier": evaluation(**rule),
        "math-verify": evaluation(**rule),
        "indicative": evaluation(**rule),
        "semantic-similarity": evaluation(**encoder | scorer),
        "semantic": evaluation(**encoder, accuracy=perfect),
        "reward-model": evaluation(**scorer, auroc=0.979, cpu_seconds_per_sample=0.0047),
        "rank": evaluation(**judge | scorer, auroc=0.958, cpu_seconds_per_sample=0.0003, usage=Usage(6144, 1329, 40)),
        "chain-of-thought": evaluation(**judge, auroc=0.915, usage=Usage(17299, 9765, 160), critic_faults=3),
        "cascade": evaluation(**judge, auroc=0.915, usage=Usage(37207, 25896, 377)),
        "majority": evaluation(**judge, auroc=0.897, usage=Usage(51969, 29846, 481)),
        "generative-reward": evaluation(**judge, auroc=0.968, usage=Usage(69268, 40313, 641)),
    }
