"""How close an explanation comes to a reference explanation, by a small encoder: a score without a verdict.

From "Semantic reward shaping" (https://arxiv.org/abs/2509.13081): the reward is the cosine between the encodings of
the explanation and of the reference explanation. Encoder and rescaling are unknown there; here the cosine is clamped
to [0, 1] and capped by guards against what an encoder is fooled by.

Similarity alone is no reward for mathematics: on GSM8K, plain all-MiniLM-L6-v2 cosine tells right from wrong
solutions with an AUROC of 0.66 (ROUGE-L: 0.89), and a *question* has a mean cosine of 0.80 with its own reference
solution. Add the correctness part (:class:`~textgrad_rl_critics.semantic.Semantic`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, final

from textgrad_rl_critics.critic import Critic
from textgrad_rl_critics.embedding import Embedder, cosine
from textgrad_rl_critics.encoder import Encoder
from textgrad_rl_critics.guards import Guards, copy_rate, length_ratio
from textgrad_rl_critics.references import answer_of, question_of
from textgrad_rl_critics.spans import explanation, sentences
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Example

if TYPE_CHECKING:
    from textgrad_rl_critics.embedding import Vector, Vectors

_NAMED = 3


@final
class SemanticSimilarity(Critic):
    """Scores an explanation by its cosine with the reference explanation, without asking any model.

    ::

        score = min(clamp(cos(e(explanation), e(reference)), 0, 1), cap)

    The reference is the example's solution, or its answer where there is none. ``cap`` is
    :meth:`Guards.cap <textgrad_rl_critics.guards.Guards.cap>`. The critique names reference sentences that no sentence
    of the explanation comes close to. Components: ``cosine``, ``cap``, ``length_ratio``, ``copy_rate``, and
    ``control``, the cosine with the reference of another example of the same call (absent if there is none): a control
    near the cosine says that style is scored, not content. It caps nothing, so that no score depends on its neighbours.

    Args:
        encoder: its name (see :class:`~textgrad_rl_critics.encoder.SentenceEncoder`), or an object with ``encode``.
        guards: what length and copying cost.
        threshold: a reference sentence whose best cosine is below counts as missing. Small encoders hardly see
            numbers: 0.7 finds sentences that are left out, not those whose result is wrong.
        span: what of a text is its explanation.
        name: how records call it.

    Models read a limited number of tokens (all-MiniLM-L6-v2: 256); what stands behind is not compared.
    """

    def __init__(
        self,
        encoder: str | Encoder,
        *,
        guards: Guards | None = None,
        threshold: float = 0.7,
        span: Callable[[str], str] = explanation,
        name: str = "semantic_similarity",
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"threshold is a cosine in [0, 1], got {threshold}")
        self.embedder = Embedder(encoder)
        self.guards = guards or Guards()
        self.threshold = threshold
        self.span = span
        self.name = name

    def check(self, examples: Iterable[Example]) -> None:
        for example in examples:
            self.reference(example)

    def reference(self, example: Example) -> str:
        """Return what an explanation is compared with.

        Raises:
            DataError: when the example has neither solution nor answer.
        """
        if example.solution is None:
            return answer_of(example, wanted_by=f"{self.name} (or better, a solution)")
        return self.span(example.solution) or example.solution

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        references = [self.reference(case.example) for case in cases]
        spans = [self.span(case.text) for case in cases]
        said = [sentences(span) if critiques else [] for span in spans]
        texts = [text for span, parts in zip(spans, said, strict=True) for text in (span, *parts) if text]
        vectors, groups = await self.embedder.embed(texts, [(text, *sentences(text)) for text in references])
        whole = {text: group[text] for text, group in zip(references, groups, strict=True)}
        others = _next_in_cycle(whole)
        feedback: list[Feedback | Failure] = []
        for case, span, parts, reference, group in zip(cases, spans, said, references, groups, strict=True):
            components = self._measure(case, span, reference)
            if span:
                components["cosine"] = cosine(vectors[span], whole[reference])
                if reference in others:
                    components["control"] = cosine(vectors[span], whole[others[reference]])
            wanted = sentences(reference) if critiques else []
            absent = missing(wanted, parts, group, vectors, self.threshold)
            feedback.append(
                Feedback(
                    score=min(components["cosine"], components["cap"]),
                    critique=_say(absent),
                    sees="nothing" if not absent else "answer" if case.example.solution is None else "solution",
                    components=components,
                )
            )
        return feedback

    def _measure(self, case: Case, span: str, reference: str) -> dict[str, float]:
        question, ngram = question_of(case.example), self.guards.ngram
        ratio, copied = length_ratio(span, reference), copy_rate(span, question, ngram)
        allowed = copy_rate(reference, question, ngram)
        cap = self.guards.cap(length_ratio=ratio, copy_rate=copied, reference_copy_rate=allowed)
        return {"cosine": 0.0, "cap": cap, "length_ratio": ratio, "copy_rate": copied}


def missing(
    wanted: Sequence[str], said: Sequence[str], wanted_vectors: Vectors, said_vectors: Vectors, threshold: float
) -> list[str]:
    """Return the wanted sentences whose best cosine with a said one is below the threshold, in order."""

    def best(vector: Vector) -> float:
        return max((cosine(vector, said_vectors[sentence]) for sentence in said), default=0.0)

    return [sentence for sentence in wanted if best(wanted_vectors[sentence]) < threshold]


def _say(absent: Sequence[str]) -> str:
    """Name the first missing sentences."""
    named = "; ".join(f'"{sentence}"' for sentence in absent[:_NAMED])
    return f"The explanation does not say: {named}." if named else ""


def _next_in_cycle(texts: Iterable[str]) -> dict[str, str]:
    """Pair every text with another one, the same whatever their order; nothing for a single one."""
    ordered = sorted(set(texts))
    return dict(zip(ordered, ordered[1:] + ordered[:1], strict=True)) if len(ordered) > 1 else {}
