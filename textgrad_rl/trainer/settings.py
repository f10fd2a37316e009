"""What the Trainer makes of its arguments, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from textgrad_rl.methods.advantages import CREDITS
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.node_feedback import node_critics

if TYPE_CHECKING:
    from textgrad_rl.trainer.trainer import Trainer

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


def check_fit(trainer: Trainer) -> None:
    """Refuse settings that cannot work together.

    Raises:
        ConfigError: for a graph with nothing to train, a gate without a yardstick, ``credit="local"`` without a node
            that has a critic, or ``deterministic=True`` with a policy that is not.
        UnknownNameError: for a credit that there is not.
    """
    if not trainer.text and not trainer.weights:
        has = ", ".join((*trainer.prompts, *trainer.policies)) or "nothing trainable at all"
        raise ConfigError(
            f"there is nothing to train: the graph has {has}, text={'set' if trainer.text else 'None'}, "
            f"weights={'set' if trainer.weights else 'None'}. Make a text trainable with textgrad_rl.Prompt(...) and "
            "pass text=TextualGradientDescent(...), or use a policy of load_policy(...) and pass weights=GRPO(...)"
        )
    if trainer.gate is not None and trainer.metric is None:
        raise ConfigError(
            "the gate needs a yardstick: pass metric=... (a critic), or gate=None to accept every proposal"
        )
    if trainer.credit not in CREDITS:
        raise UnknownNameError("credit", trainer.credit, CREDITS)
    if trainer.credit == "local" and not node_critics(trainer.graph):
        raise ConfigError(
            "credit='local' is the credit of nodes that have a critic, and none has: LLM(..., critic=...)"
        )
    if trainer.deterministic and (loose := [path for path, item in trainer.policies.items() if not exact(item)]):
        raise ConfigError(
            f"deterministic=True needs policies from load_policy(..., deterministic=True): {', '.join(loose)}"
        )
