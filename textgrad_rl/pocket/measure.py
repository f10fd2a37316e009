"""Every figure of the model card, measured on held-out questions of the library.

Left out: what training does to the model; that is what the rest of the project studies.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textgrad_rl.pocket import texts
from textgrad_rl.pocket.misconceptions import ALL
from textgrad_rl.pocket.prompts import draw_directives, draw_prompt
from textgrad_rl.pocket.questions import Question
from textgrad_rl.pocket.sampling import Request

IRRELEVANT = "Count the apples."
UNSEEN = (IRRELEVANT, "Show all your work.", "Explain the result clearly.", "Use a calm tone.", "Never skip a line.")
"""Sentences that never occur in training."""

FEWER = 250
"""Cases of the comparisons that carry no promise, to keep measuring short."""

Sample = Callable[[Sequence[Request]], list[str]]
"""Requests in, one completion each out."""


@dataclass(frozen=True)
class Figure:
    """A share of successes: `hits` of `n`, with its 95 % interval."""

    name: str
    hits: int
    n: int

    @property
    def share(self) -> float:
        """hits / n; 0 where nothing was measured."""
        return self.hits / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (E. B. Wilson 1927, Journal of the American Statistical Association 22, 209)."""
        return wilson(self.hits, self.n)


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), the whole range for n = 0."""
    if n == 0:
        return 0.0, 1.0
    share, scale = hits / n, 1 + z * z / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def count(name: str, outcomes: Sequence[bool]) -> Figure:
    """The figure of a list of outcomes."""
    return Figure(name, sum(outcomes), len(outcomes))


def is_right(question: Question, response: str) -> bool:
    """Whether the response ends with the right answer."""
    return texts.extract_answer(response) == question.answer


def prompts() -> dict[str, str]:
    """The solver's prompts that are compared, by name."""
    base = texts.SOLVER
    return {
        "solver, base prompt": base,
        "solver + an irrelevant sentence": f"{base} {IRRELEVANT}",
        **{f"solver + directive {m.name}": f"{base} {m.directive}" for m in ALL},
        "solver + all directives": " ".join([base, *(m.directive for m in ALL)]),
        "solver, no system message": "",
    }


def solver(questions: Sequence[Question], sample: Sample) -> tuple[list[Figure], list[str]]:
    """Accuracy under each prompt, and by number of terms under the base prompt; also the base prompt's responses."""
    figures, base = list[Figure](), list[str]()
    for name, prompt in prompts().items():
        responses = sample([(prompt, question.text) for question in questions])
        right = [is_right(*pair) for pair in zip(questions, responses, strict=True)]
        figures.append(count(name, right))
        if prompt == texts.SOLVER:
            base = responses
            for terms in sorted({len(question.rest) + 1 for question in questions}):
                chosen = [r for r, q in zip(right, questions, strict=True) if len(q.rest) + 1 == terms]
                figures.append(count(f"solver, base prompt, {terms} terms", chosen))
    return figures, base


def critic(questions: Sequence[Question], responses: Sequence[str], sample: Sample) -> tuple[list[Figure], list[str]]:
    """Verdicts on the solver's own samples, without and with the reference answer; also the critiques without it."""
    pairs = list(zip(questions, responses, strict=True))
    right = [is_right(*pair) for pair in pairs]
    critiques = sample([(texts.CRITIC, texts.critic_input(q.text, r)) for q, r in pairs])
    agrees = [texts.verdict(text) is truth for text, truth in zip(critiques, right, strict=True)]
    programs = [texts.critique(q, r) for q, r in pairs]
    as_program = [texts.verdict(a) is texts.verdict(b) for a, b in zip(critiques, programs, strict=True)]
    shown = sample([(texts.CRITIC, texts.critic_input(q.text, r, str(q.answer))) for q, r in pairs[:FEWER]])
    named = [
        [m.phrase in text for m in ALL] == [m.phrase in program for m in ALL]
        for text, program, truth in zip(critiques, programs, right, strict=True)
        if not truth
    ]
    return [
        count("critic, verdict right", agrees),
        count("critic, verdict as a program's", as_program),
        count("critic, verdict right on wrong responses", [a for a, t in zip(agrees, right, strict=True) if not t]),
        count("critic, verdict right on right responses", [a for a, t in zip(agrees, right, strict=True) if t]),
        count("critic, cause of the first error right", named),
        count(
            "critic shown the answer, verdict right",
            [texts.verdict(text) is truth for text, truth in zip(shown, right, strict=False)],
        ),
    ], critiques


def refiner(
    questions: Sequence[Question], responses: Sequence[str], critiques: Sequence[str], sample: Sample
) -> list[Figure]:
    """Refinements of wrong and right responses, by kind of critique."""
    triples = list(zip(questions, responses, critiques, strict=True))
    wrong = [triple for triple in triples if not is_right(*triple[:2])]
    right = [triple for triple in triples if is_right(*triple[:2])]
    fewer = wrong[:FEWER]
    others = [text for _, _, text in fewer[1:] + fewer[:1]]

    def revised(name: str, cases: Sequence[tuple[Question, str, str]]) -> Figure:
        refined = sample([(texts.REFINER, texts.refiner_input(q.text, r, text)) for q, r, text in cases])
        return count(f"refiner, {name}", [is_right(q, text) for (q, _, _), text in zip(cases, refined, strict=True)])

    return [
        revised("wrong made right with the model's own critique", wrong),
        revised("wrong made right with a program's critique", [(q, r, texts.critique(q, r)) for q, r, _ in fewer]),
        revised("wrong made right, told only that it is wrong", [(q, r, texts.IS_WRONG) for q, r, _ in fewer]),
        revised(
            "wrong made right, told that it is wrong and the answer",
            [(q, r, f"{texts.IS_WRONG} The answer is {q.answer}.") for q, r, _ in fewer],
        ),
        revised("wrong made right, told that it is correct", [(q, r, texts.IS_CORRECT) for q, r, _ in fewer]),
        revised(
            "wrong made right with another response's critique",
            [(q, r, other) for (q, r, _), other in zip(fewer, others, strict=True)],
        ),
        revised("right kept right with the model's own critique", right),
    ]


def writers(
    questions: Sequence[Question], critiques: Sequence[str], sample: Sample, rng: random.Random
) -> list[Figure]:
    """Prompt feedback on the model's own critiques, and prompts rewritten on feedback.

    Both under prompts of unseen English sentences; rewriting also under the training text's prompts of made-up words.
    """
    plain = [plain_prompt(rng) for _ in questions]
    blocks = [rng.sample(list(critiques), rng.randint(1, 4)) for _ in questions]
    told = sample([(texts.FEEDBACK, texts.feedback_input(p, block)) for p, block in zip(plain, blocks, strict=True)])
    expected = [texts.feedback(p, block) for p, block in zip(plain, blocks, strict=True)]
    figures = [count("prompt feedback exact", [a == b for a, b in zip(told, expected, strict=True)])]
    for name, drawn in (
        ("rewritten prompt", plain),
        ("rewritten prompt of made-up words", [draw_prompt(rng, draw_directives(rng)) for _ in questions]),
    ):
        piles = [rng.sample(expected, rng.randint(1, 4)) for _ in drawn]
        outputs = sample([(texts.IMPROVE, texts.improve_input(p, pile)) for p, pile in zip(drawn, piles, strict=True)])
        rewritten = list(zip(drawn, piles, outputs, strict=True))
        figures.append(count(f"{name} exact", [text == texts.improve(p, pile) for p, pile, text in rewritten]))
        figures.append(count(f"{name} keeps the old one", [text.startswith(p) for p, _, text in rewritten]))
    return figures


def plain_prompt(rng: random.Random) -> str:
    """A prompt of the usual base, up to two unseen sentences and any directives, in random order."""
    others = [*rng.sample(UNSEEN, rng.randint(0, 2)), *(m.directive for m in draw_directives(rng))]
    return " ".join([texts.SOLVER, *rng.sample(others, len(others))])


def measure(questions: Sequence[Question], sample: Sample, *, seed: int = 0) -> list[Figure]:
    """All figures of the model card."""
    solved, responses = solver(questions, sample)
    checked, critiques = critic(questions, responses, sample)
    revised = refiner(questions, responses, critiques, sample)
    return [*solved, *checked, *revised, *writers(questions, critiques, sample, random.Random(seed))]
