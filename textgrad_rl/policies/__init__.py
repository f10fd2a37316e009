"""Policies: models whose weights are trained, and the rows they are trained on."""

from textgrad_rl.policies.load import load_policy
from textgrad_rl.policies.lora import LoRA
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl.policies.policy import TransformersPolicy
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl.policies.vllm import VLLMPolicy

__all__ = ["LoRA", "Optimizer", "Row", "Segment", "TransformersPolicy", "VLLMPolicy", "load_policy"]
