"""What users give as a critic, looked at where they give it: not when the first answers are paid."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from textgrad_rl_graphs.feedback import Critic


def as_critic(given: Any, where: str) -> Critic:
    """Return what was given as a critic.

    Args:
        given: anything with ``name`` and ``async acritique(cases, *, critiques=True)``.
        where: what it was given to, for the error.

    Raises:
        ConfigError: for anything else; says how to make a critic of it.

    >>> as_critic("semantic", "Trainer(critic=...)")  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    textgrad_rl_graphs.errors.ConfigError: Trainer(critic=...) needs a critic, got 'semantic': a name becomes one by
    textgrad_rl.critics.by_name('semantic')
    """
    if isinstance(given, str):
        problem = f"a name becomes one by textgrad_rl.critics.by_name({given!r})"
    elif isinstance(given, type):
        problem = f"that is a class, and a critic is an instance of one: {given.__name__}(...)"
    elif not hasattr(given, "acritique"):
        own = "it has no async acritique(cases, *, critiques=True)"
        problem = "a function becomes one by textgrad_rl.critics.Verifier(function)" if callable(given) else own
    elif not isinstance(getattr(given, "name", None), str):
        problem = "it has no name, the text by which records call it"
    elif inspect.isroutine(given.acritique) and not inspect.iscoroutinefunction(inspect.unwrap(given.acritique)):
        problem = "its acritique is a plain function, it has to be async def acritique(self, cases, *, critiques=True)"
    else:
        critic: Critic = given
        return critic
    raise ConfigError(f"{where} needs a critic, got {given!r}: {problem}")
