"""A response without what it quotes of its question: an answer that stands only there is none.

A quotation is found by the copy of the question in it. Left out: paraphrases of the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from textgrad_rl_critics.spans import words

_WORD = re.compile(r"\w+")
_RUN = 6
_COPIED = "\0"  # in the place of a copy
_PAIRS = (
    ('"', '"'), ("`", "`"), ("\u201C", "\u201D"), ("\u201E", "\u201C"), ("\u201E", "\u201D"), ("\u2018", "\u2019"),
    ("\u201A", "\u2018"), ("«", "»"), ("»", "«"), ("\u2039", "\u203A"), ("「", "」"), ("『", "』"),
)  # fmt: skip
_APOSTROPHE = r"(?<=\w)'(?=\w)"  # in a word: no mark of a quotation
_SINGLE = re.compile(rf"(?<!\w)'[^']*(?:{_APOSTROPHE}[^']*)*(?!{_APOSTROPHE})'")
_SUM = re.compile(r"[^\w\n=]*=[^\w\n#]*(?:boxed[^\w\n#]*)?\d")
_LETTER = re.compile(r"[^\W\d_]")


def without_quotation(text: str, question: str) -> str:
    """Return the text without what it copies from the question, and without all of a quotation that holds a copy.

    A copy is a run of 6 words or more, or all of a shorter question; of a question of one or two words, with its
    signs. A calculation that goes on, ``6 * 7 = 42``, is no copy of ``6 * 7 =``. A quotation is a block quote, a fenced
    or indented block, blank lines in it or not, or stands between quotation marks or backticks.

    >>> without_quotation("You ask how many of the 18 eggs are left: 9", "How many of the 18 eggs are left?")
    'You ask : 9'
    >>> without_quotation('"How many of the 18 eggs are left? Answer: 9" Hm.', "How many of the 18 eggs are left?")
    ' Hm.'
    """
    kept: list[str] = []
    end = 0
    for start, stop in _copies(text, question):
        kept += [text[end:start], _COPIED]
        end = stop
    if not kept:
        return text
    rest = _without_blocks("".join([*kept, text[end:]]))
    for opens, closes in _PAIRS:
        rest = _without_marked(rest, opens, closes)
    if "'" in rest:
        rest = _SINGLE.sub(_if_not_copied, rest)
    return rest.replace(_COPIED, "")


def _copies(text: str, question: str) -> Iterator[tuple[int, int]]:
    """Return start and end of each copy, with the signs around the question where they are there too."""
    asked = list(_WORD.finditer(question))
    if not asked:
        return
    found = _runs(text, words(question)) if len(asked) > 2 else _literal(text, question)
    head, tail = question[: asked[0].start()].lstrip(), question[asked[-1].end() :].rstrip()
    for start, stop in found:
        if _SUM.match(text, stop) and not _LETTER.search(text, start, stop):
            continue
        before = len(head) if text.endswith(head, 0, start) else 0
        yield start - before, stop + (len(tail) if text.startswith(tail, stop) else 0)


def _runs(text: str, asked: list[str]) -> Iterator[tuple[int, int]]:
    """Return start and end of the longest runs of words that are made of known runs."""
    size = min(_RUN, len(asked))
    known = {tuple(asked[start : start + size]) for start in range(len(asked) - size + 1)}
    said = list(_WORD.finditer(text))
    folded = [word[0].casefold() for word in said]
    run: tuple[int, int] | None = None  # first and last word
    for first in range(len(said) - size + 1):
        if tuple(folded[first : first + size]) not in known:
            continue
        if run is not None and first > run[1]:
            yield said[run[0]].start(), said[run[1]].end()
            run = None
        run = (first if run is None else run[0], first + size - 1)
    if run is not None:
        yield said[run[0]].start(), said[run[1]].end()


def _literal(text: str, question: str) -> Iterator[tuple[int, int]]:
    """Return start and end of the question itself, with other spaces, case, or without the sign at its end."""
    signs = re.findall(r"\w+|[^\w\s]", question.rstrip(" \t\n?=.:"))
    pattern = r"\s*".join(map(re.escape, signs))
    for copy in re.finditer(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE):
        yield copy.span()


def _without_blocks(text: str) -> str:
    """Return the text without block quotes, fenced and indented blocks that hold a copy."""
    blocks = groupby(_kinds(text.splitlines(keepends=True)), key=lambda item: item[0])
    parts = ((kind, "".join(line for _, line in lines)) for kind, lines in blocks)
    return "".join(part for kind, part in parts if not kind or _COPIED not in part)


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Return each line with the kind of block it belongs to, ``""`` for none; a blank line belongs to that before."""
    kind = fence = ""
    for number, line in enumerate(lines):
        start = line.lstrip()
        if fence:
            fence = "" if start.startswith(fence) else fence
        elif start.startswith(("```", "~~~")):
            fence = start[:3]
            kind = f"fenced {number}"
        elif start.startswith(">"):
            kind = ">"
        elif start:
            kind = "indented" if line.startswith(("    ", "\t")) else ""
        yield kind, line


def _without_marked(text: str, opens: str, closes: str) -> str:
    """Return the text without what stands between two marks and holds a copy, in linear time."""
    last = text.rfind(closes)
    if last <= 0 or opens not in text:
        return text
    pattern = f"{opens}[^{closes}]*{closes}"
    return re.sub(pattern, _if_not_copied, text[: last + 1]) + text[last + 1 :]


def _if_not_copied(quoted: re.Match[str]) -> str:
    return "" if _COPIED in quoted[0] else quoted[0]
