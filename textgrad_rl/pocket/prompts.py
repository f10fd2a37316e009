"""The prompts of the training text: directives among sentences that mean nothing to the solver, in any order."""

import random
from collections.abc import Collection, Sequence

from textgrad_rl.pocket.misconceptions import ALL, Misconception
from textgrad_rl.pocket.texts import SOLVER

BASES = ("Show every step.", "Solve the problem.", "You are a careful solver.", "Answer the question.", "Work it out.")
DISTRACTORS = (
    "Be brief.", "Be polite.", "Think before you write.", "Use plain words.", "Write neatly.", "Take your time.",
    "You are a helpful assistant.", "Do not guess.", "Name the units.", "Stay calm.", "Answer in English.",
    "Read the question twice.", "Round nothing.", "Number the steps.", "Mind the details.", "Double the effort.",
    "Be kind to the reader.", "Trust your work.", "No small talk.", "Keep it short.", "Use one line.",
    "Keep the format.", "Add a smile.", "Carry on.", "When in doubt, go on.", "Sign nothing.",
)  # fmt: skip
_LETTERS = "eeetaoinshrdlucmfwygpbvkxqjz"
_WORDS = sorted(set(" ".join((*BASES, *DISTRACTORS, *(m.directive for m in ALL))).lower().replace(".", "").split(" ")))
_PIECES = sorted({word[i : i + size] for word in _WORDS for size in (1, 2, 3) for i in range(0, len(word), size)})


def random_sentence(rng: random.Random) -> str:
    """A sentence of made-up words, now and then with digits, an accent or a comma, that only copying gets right."""
    words = [_random_word(rng) for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.1:
        words[rng.randrange(len(words))] = str(rng.randrange(1000))
    if rng.random() < 0.1:
        words[rng.randrange(len(words))] += rng.choice("éüßñ,;:-'\"()/*")
    text = " ".join(words)
    return (text.capitalize() if rng.random() < 0.9 else text) + rng.choice("......!?:")


def _random_word(rng: random.Random) -> str:
    """Letters, pieces of known words glued together, or a known word: pieces met elsewhere make copying ambiguous."""
    chance = rng.random()
    if chance < 0.35:
        return "".join(rng.choices(_LETTERS, k=rng.randint(1, 8)))
    return "".join(rng.choices(_PIECES, k=rng.randint(1, 4))) if chance < 0.85 else rng.choice(_WORDS)


def draw_directives(rng: random.Random) -> list[Misconception]:
    """The directives of one prompt: none in a third of the cases, all in a seventh, any number otherwise."""
    chance = rng.random()
    if chance < 0.33:
        return []
    if chance < 0.47:
        return rng.sample(ALL, len(ALL))
    return rng.sample(ALL, rng.choice((1, 1, 2)))


def draw_prompt(
    rng: random.Random, directives: Collection[Misconception], *, others: Sequence[int] = (0, 0, 0, 1, 1, 2, 3)
) -> str:
    """A solver's prompt: mostly the usual base, then directives and other sentences shuffled; sometimes no base.

    Args:
        rng: source of every draw.
        directives: the directives it holds.
        others: the number of meaningless sentences is drawn from these.
    """
    sentences = [m.directive for m in directives]
    for _ in range(rng.choice(others)):
        sentences.append(rng.choice(DISTRACTORS) if rng.random() < 0.5 else random_sentence(rng))
    rng.shuffle(sentences)
    base = _draw_base(rng)
    sentences = [base, *sentences] if base else sentences
    if rng.random() < 0.15:
        rng.shuffle(sentences)
    return " ".join(sentences)


def _draw_base(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.8:
        return SOLVER
    if chance < 0.88:
        return rng.choice(BASES)
    return random_sentence(rng) if chance < 0.95 else ""
