"""Critics: cases in, feedback out. One file per critic; swapping one is one line.

Users import these names from ``textgrad_rl.critics``. Nothing heavy is loaded before a critic needs it.
"""

from textgrad_rl_critics.chain_of_thought import ChainOfThought
from textgrad_rl_critics.combine import Combine
from textgrad_rl_critics.critic import Critic
from textgrad_rl_critics.encoder import Encoder, SentenceEncoder
from textgrad_rl_critics.faults import CriticFaultWarning, policy_fault
from textgrad_rl_critics.guards import Guards
from textgrad_rl_critics.indicative import Indicative
from textgrad_rl_critics.registry import by_name
from textgrad_rl_critics.scorers import exact_match, math_verify, reasoning_gym
from textgrad_rl_critics.semantic import Semantic
from textgrad_rl_critics.shuffled import Shuffled
from textgrad_rl_critics.similarity import SemanticSimilarity
from textgrad_rl_critics.spans import final_answer, last_number
from textgrad_rl_critics.verifier import Verifier
from textgrad_rl_critics.weighted import WeightedSum

__all__ = [
    "ChainOfThought",
    "Combine",
    "Critic",
    "CriticFaultWarning",
    "Encoder",
    "Guards",
    "Indicative",
    "Semantic",
    "SemanticSimilarity",
    "SentenceEncoder",
    "Shuffled",
    "Verifier",
    "WeightedSum",
    "by_name",
    "exact_match",
    "final_answer",
    "last_number",
    "math_verify",
    "policy_fault",
    "reasoning_gym",
]
