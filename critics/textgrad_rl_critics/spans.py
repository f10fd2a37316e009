"""Parts of a response: reasoning, explanation, final answer, sentences, words."""

from __future__ import annotations

import re

_TAGGED = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_OPENED = re.compile(r"<(?:think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)  # never closed
_CLOSED = re.compile(r"\A.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)  # opened in the prompt
_MARKER = re.compile(r"(?:\*\*)?(?:\bthe\s+)?(?:\bfinal\s+)?\banswer\s*(?:is\s*)?:|####", re.IGNORECASE)
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w+")
_BOX = "\\boxed{"


def without_reasoning(text: str) -> str:
    """Return the text without ``<think>...</think>`` and its kin; what an unclosed tag opens is reasoning to the end.

    >>> without_reasoning("<think>Hm, 6 * 7.</think>Answer: 42")
    'Answer: 42'
    """
    return _OPENED.sub("", _CLOSED.sub("", _TAGGED.sub("", text))).strip()


def final_answer(text: str) -> str:
    r"""Return the final answer: what follows the last of ``Answer:``, ``####``, ``\boxed{``, else the last line.

    Reasoning tags are left out, and so are marks around the answer (``**42**``).

    >>> final_answer("6 * 7 = 42. Answer: 42"), final_answer("So it is $\\boxed{\\frac{1}{2}}$."), final_answer("a\nb")
    ('42', '\\frac{1}{2}', 'b')
    """
    text = without_reasoning(text)
    markers = list(_MARKER.finditer(text))
    box = _last_box(text)
    if box is not None and (not markers or box[0] > markers[-1].start()):
        return text[box[0] + len(_BOX) : box[1] - 1].strip()
    lines = [line.strip(" \t*_`") for line in (text[markers[-1].end() :] if markers else text).splitlines()]
    kept = [line for line in lines if line]
    return "" if not kept else kept[0] if markers else kept[-1]


def has_final_answer(text: str) -> bool:
    r"""Return whether something follows ``Answer:`` or ``####``, or stands in ``\boxed{}``: the default format rule.

    >>> has_final_answer("It is 42.\nAnswer: 42"), has_final_answer("It is 42.")
    (True, False)
    """
    text = without_reasoning(text)
    return (bool(_MARKER.search(text)) or _last_box(text) is not None) and bool(final_answer(text))


def last_number(text: str) -> str:
    """Return the last number of the final answer, else the whole of it: forgives units, as GSM8K graders do.

    >>> last_number("Answer: $1,234.50 a day")
    '1,234.50'
    """
    answer = final_answer(text)
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", answer)
    return numbers[-1].rstrip(",") if numbers else answer


def explanation(text: str) -> str:
    r"""Return the explanation span: the text without reasoning tags, final answer and calculator marks ``<<..>>``.

    Only this is compared with a reference: in one re-implementation of semantic shaping the similarity fell from 0.92
    to 0.27 when reasoning text was embedded along. The source of the idea is "Semantic reward shaping",
    https://arxiv.org/abs/2509.13081.

    >>> explanation("<think>Hm.</think>6 * 7 = <<6*7=42>>42.\nAnswer: 42")
    '6 * 7 = 42.'
    """
    text = _CALCULATOR.sub("", without_reasoning(text))
    if (box := _last_box(text)) is not None:
        text = text[: box[0]] + text[box[1] :]
    if markers := list(_MARKER.finditer(text)):
        end = text.find("\n", markers[-1].end())
        text = text[: markers[-1].start()] + ("" if end < 0 else text[end:])
    return text.strip()


def sentences(text: str) -> list[str]:
    """Return the sentences and lines that hold a word.

    >>> sentences("She sells 9 eggs. Each is $2.50!")
    ['She sells 9 eggs.', 'Each is $2.50!']
    """
    return [part.strip() for part in _SENTENCE.split(text) if _WORD.search(part)]


def words(text: str) -> list[str]:
    """Return the words and numbers, case folded."""
    return _WORD.findall(text.casefold())


def _last_box(text: str) -> tuple[int, int] | None:
    r"""Return start and end of the last ``\boxed{...}`` whose braces balance."""
    start = text.rfind(_BOX)
    while start >= 0:
        depth = 0
        for position in range(start + len(_BOX) - 1, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return start, position + 1
        start = text.rfind(_BOX, 0, start)
    return None
