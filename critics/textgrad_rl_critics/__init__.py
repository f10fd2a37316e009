"""Critics: cases in, feedback out. One file per critic; swapping one is one line.

Users import these names from ``textgrad_rl.critics``. Nothing heavy is loaded before a critic needs it.
"""

from textgrad_rl_critics.cascade import Cascade, Saving
from textgrad_rl_critics.chain_of_thought import ChainOfThought
from textgrad_rl_critics.combine import Combine
from textgrad_rl_critics.critic import Critic
from textgrad_rl_critics.encoder import Encoder, SentenceEncoder
from textgrad_rl_critics.expressions import math_verify
from textgrad_rl_critics.faults import CriticFaultWarning, policy_fault
from textgrad_rl_critics.format_rules import format_rule
from textgrad_rl_critics.generative_reward import GenerativeReward
from textgrad_rl_critics.guards import Guards
from textgrad_rl_critics.human import Human
from textgrad_rl_critics.indicative import Indicative
from textgrad_rl_critics.majority import Majority
from textgrad_rl_critics.overlong import Overlong
from textgrad_rl_critics.rank import Rank
from textgrad_rl_critics.registry import by_name
from textgrad_rl_critics.replay import Replay
from textgrad_rl_critics.reward_model import RewardModel
from textgrad_rl_critics.sandbox import Sandbox
from textgrad_rl_critics.scorers import exact_match, reasoning_gym
from textgrad_rl_critics.semantic import Semantic
from textgrad_rl_critics.shuffled import Shuffled
from textgrad_rl_critics.similarity import SemanticSimilarity
from textgrad_rl_critics.spans import final_answer, last_number
from textgrad_rl_critics.terminal import Terminal
from textgrad_rl_critics.thresholds import Band, unsure_band
from textgrad_rl_critics.unit_tests import unit_tests
from textgrad_rl_critics.verifier import Verifier
from textgrad_rl_critics.weighted import WeightedSum

__all__ = [
    "Band",
    "Cascade",
    "ChainOfThought",
    "Combine",
    "Critic",
    "CriticFaultWarning",
    "Encoder",
    "GenerativeReward",
    "Guards",
    "Human",
    "Indicative",
    "Majority",
    "Overlong",
    "Rank",
    "Replay",
    "RewardModel",
    "Sandbox",
    "Saving",
    "Semantic",
    "SemanticSimilarity",
    "SentenceEncoder",
    "Shuffled",
    "Terminal",
    "Verifier",
    "WeightedSum",
    "by_name",
    "exact_match",
    "final_answer",
    "format_rule",
    "last_number",
    "math_verify",
    "policy_fault",
    "reasoning_gym",
    "unit_tests",
    "unsure_band",
]
