"""What the Trainer makes of its arguments, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from textgrad_rl_graphs.errors import ConfigError, UnknownNameError

T = TypeVar("T")


def by_path(kind: str, name: str, given: T | Mapping[str, T] | None, parameters: Mapping[str, object]) -> dict[str, T]:
    """Return a setting by parameter path: one for all, or a mapping whose paths must exist."""
    if given is None:
        return {}
    if not parameters:
        raise ConfigError(f"there is nothing to train with {name}=: the graph has no {kind}; drop it or add one")
    if not isinstance(given, Mapping):
        return dict.fromkeys(parameters, given)
    if unknown := [path for path in given if path not in parameters]:
        raise UnknownNameError(f"{kind} path", unknown[0], parameters)
    return dict(given)


def at_least_one(name: str, value: int) -> int:
    """Return a number that has to be 1 or more."""
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}")
    return value


def exact(policy: object) -> bool:
    """True for a local model whose answers are a function of the request and the weights alone."""
    return bool(getattr(policy, "deterministic", False))
