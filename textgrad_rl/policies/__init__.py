"""Policies: models whose weights are trained, and the rows they are trained on."""

from textgrad_rl.policies.load import load_policy
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl.policies.policy import TransformersPolicy
from textgrad_rl.policies.rows import Row, Segment

__all__ = ["Optimizer", "Row", "Segment", "TransformersPolicy", "load_policy"]
