"""Components of critics made of others: what every part said, under the part's name."""

from __future__ import annotations

from collections.abc import Sequence

from textgrad_rl_graphs.feedback import Critic, Feedback


def names_of(critics: Sequence[Critic]) -> tuple[str, ...]:
    """Return a name for every critic; those of one name are told apart by primes.

    >>> from textgrad_rl_critics import Verifier
    >>> names_of([Verifier(name="exact"), Verifier(name="exact"), Verifier(name="judge")])
    ('exact', "exact'", 'judge')
    """
    names: list[str] = []
    for critic in critics:
        name = critic.name
        while name in names:
            name += "'"
        names.append(name)
    return tuple(names)


def components_of(names: Sequence[str], feedback: Sequence[Feedback]) -> dict[str, float]:
    """Return the score of every part under its name, where it gave one, and its components below that name.

    >>> components_of(["semantic"], [Feedback(score=0.5, components={"cosine": 0.7})])
    {'semantic': 0.5, 'semantic.cosine': 0.7}
    """
    found: dict[str, float] = {}
    for name, item in zip(names, feedback, strict=True):
        if item.score is not None:
            found[name] = item.score
        found |= {f"{name}.{part}": value for part, value in item.components.items()}
    return found
