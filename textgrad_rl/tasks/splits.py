"""Splits by hash of the question: the same text is always in the same split, so no two splits can share an item."""

import hashlib
import math
from collections.abc import Mapping
from types import MappingProxyType

CHAIN_SUM_SPLITS: Mapping[str, float] = MappingProxyType(
    {"pretraining": 0.5, "train": 0.2, "gate": 0.05, "validation": 0.05, "test": 0.2}
)
"""Shares of the arithmetic questions; `pretraining` belongs to the embedded model alone, the rest is unseen by it."""


def split_of(question: str, fractions: Mapping[str, float]) -> str:
    """Name of the split that holds `question`.

    The first split whose cumulative fraction exceeds sha256(question) / 2**256.

    Args:
        question: the question's text, hashed as UTF-8, byte for byte.
        fractions: share of each split in order; none negative, their sum 1.

    Raises:
        ValueError: a fraction is negative or they do not sum to 1.

    Example:
        >>> split_of("1 + 1 =", {"train": 1.0})
        'train'
    """
    if any(fraction < 0 for fraction in fractions.values()) or not math.isclose(sum(fractions.values()), 1.0):
        raise ValueError(f"fractions must be non-negative and sum to 1, got {dict(fractions)}")
    position = int(hashlib.sha256(question.encode()).hexdigest(), 16) / 2**256
    cumulative, last = 0.0, ""
    for name, fraction in fractions.items():
        if fraction > 0:
            last = name
        cumulative += fraction
        if position < cumulative:
            return name
    return last
