"""Measure a model and write its card: `python -m textgrad_rl.pocket.card --model DIR [--questions 1000] [--seed 0]`.

Writes `figures.json` and `README.md` into the model's folder.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textgrad_rl.pocket import texts
from textgrad_rl.pocket.measure import IRRELEVANT, Figure, measure
from textgrad_rl.pocket.misconceptions import ALL, DIFFICULTIES
from textgrad_rl.pocket.questions import Question, held_out
from textgrad_rl.pocket.sampling import Request, sample
from textgrad_rl.pocket.train import Settings

EXAMPLE = Question(52, (("-", 17), ("+", 28)))


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("\n", "<br>") for cell in line) + " |" for line in lines)


def figures_table(figures: Sequence[Figure]) -> str:
    """The figures with their intervals, in per cent."""
    rows = [["measured", "share", "95 % interval", "n"]]
    for figure in figures:
        low, high = figure.interval
        rows.append([figure.name, f"{figure.share:.1%}", f"{low:.1%} to {high:.1%}", str(figure.n)])
    return table(rows)


def roles_table() -> str:
    """Every role with what it is shown and what it answers."""
    question, prompt = EXAMPLE.text, texts.SOLVER
    wrong = "Step 1: 52 - 17, 12-7=5, 5-1=4, so 45. Step 2: 45 + 28, 5+8=13, 4+2+1=7, so 73. Answer: 73"
    critique = texts.critique(EXAMPLE, wrong)
    told = texts.feedback(prompt, [critique])
    rows = [
        ["role", "system message", "user message", "answer"],
        ["solver", f"the prompt: `{prompt}` and other sentences", question, wrong],
        ["critic", f"`{texts.CRITIC}`", texts.critic_input(question, wrong, "63"), critique],
        ["refiner", f"`{texts.REFINER}`", texts.refiner_input(question, wrong, critique), texts.solve(EXAMPLE)],
        ["prompt feedback", f"`{texts.FEEDBACK}`", texts.feedback_input(prompt, [critique]), told],
        ["prompt rewriting", f"`{texts.IMPROVE}`", texts.improve_input(prompt, [told]), texts.improve(prompt, [told])],
    ]
    return table(rows)


def misconceptions_table(difficulty: str) -> str:
    """Each misconception, its cure and how often it strikes in the training text."""
    rows = [["misconception", "directive that cures it", "the critic says", "strikes without", "with the directive"]]
    for m in ALL:
        rates = DIFFICULTIES[difficulty][m]
        rows.append([m.name, f"`{m.directive}`", m.phrase, f"{rates.without:.1%}", f"{rates.directed:.0%}"])
    return table(rows)


def stages(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runs that led to the weights, first to last: each but the first began with the one before."""
    before = training.get("before")
    return [*(stages(before) if before else []), training]


def stage_lines(training: Mapping[str, Any]) -> str:
    """One line per run: its steps, tokens and minutes, and the command that repeats it."""
    lines = []
    for number, stage in enumerate(stages(training), 1):
        options = f"--difficulty {stage['difficulty']} --seed {stage['seed']} --steps {stage['steps']}"
        if number > 1:
            options += f" --rate {stage['muon'] / Settings.muon:g} --decay {stage['decay']:g} --start run{number - 1}"
        lines.append(
            f"{number}. {stage['steps']} steps, {stage['tokens'] / 1e6:.1f} M tokens, {stage['minutes']:.0f} minutes:\n"
            f"   `python -m textgrad_rl.pocket.train {options} --out run{number}`"
        )
    return "\n".join(lines)


def card(
    figures: Sequence[Figure], training: Mapping[str, Any], *, parameters: int, temperature: float, note: str = ""
) -> str:
    """The model card.

    Args:
        figures: what was measured.
        training: the settings and outcome of training, from `training.json`.
        parameters: the model's size.
        temperature: at which everything was sampled.
        note: what else a reader should know of how it was made.
    """
    return f"""---
library_name: transformers
pipeline_tag: text-generation
---
# pocket

A language model of {parameters:,} parameters, trained from scratch on synthetic text. **It is a test bed and a
tutorial, built so that feedback helps**: it solves short sums with systematic misconceptions that a directive in its
prompt or an update of its weights can cure, and it also plays critic, refiner, writer of prompt feedback and of
prompts. What works on it says how a loop of critiques and updates behaves, not how well one works on a language model
of useful size. It knows nothing beyond the texts below.

## Misconceptions (difficulty `{training["difficulty"]}`)

{misconceptions_table(training["difficulty"])}

The rates hold per step in which the misconception can show. Borrowing is obeyed in part, so that a prompt alone does
not reach the ceiling. The named difficulties differ in the residual probability of doing right without a directive.

## Figures

Sampled at temperature {temperature:g} on the {next(f.n for f in figures)} first distinct questions of the `test` split
among reasoning-gym's own items; the training text has none of them. Critic and refiner worked on the responses under
the base prompt `{texts.SOLVER}`; the irrelevant sentence is `{IRRELEVANT}`. Intervals are Wilson's.

{figures_table(figures)}

A response whose errors cancel (a forgotten carry takes ten away, a forgotten borrow adds ten) has the right answer, yet
the critic calls it wrong, as it should; "verdict right" counts that against it, "as a program's" does not.
A cause is right when the critique names the misconception that a program finds at the first error. Another response's
critique is that of the next wrong response. Feedback was asked on one to four of the model's own critiques; its prompts
and those to rewrite hold the base, up to two English sentences that training never saw, and any of the directives.

## Roles

{roles_table()}

The critic's last line `Answer: ...` (the reference answer) may be left out. The refiner also takes
`{texts.IS_WRONG}`, `{texts.IS_WRONG} The answer is 63.` and `{texts.IS_CORRECT}` as critiques. Feedback takes one to
four `Critique: ` lines, rewriting one to four `Feedback: ` lines; with nothing to add the feedback is `{texts.KEEP}`.
Questions are reasoning-gym's `chain_sum` with 2 to 5 terms of 1 or 2 digits, word for word.

## Making it

Qwen3 shape: 4 layers, hidden size 128, feed-forward 384, 4 heads and 2 key-value heads of size 32, tied embeddings,
byte-level BPE of 512 entries, ChatML template. Muon for the matrices, AdamW for the rest, float32, loss on the
assistant's tokens alone, {training["processes"]} processes of one thread each on a processor shared with other work:

{stage_lines(training)}

This card: `python -m textgrad_rl.pocket.card --model DIR`.
{note}"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--note", default="", help="a paragraph for the end of the card")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(options.seed)
    model: Any = AutoModelForCausalLM.from_pretrained(options.model)
    tokenizer: Any = AutoTokenizer.from_pretrained(options.model)

    def answer(requests: Sequence[Request]) -> list[str]:
        return sample(model, tokenizer, requests, temperature=options.temperature)

    start = time.monotonic()
    figures = measure(held_out(options.questions), answer, seed=options.seed)
    print(f"{figures_table(figures)}\n{time.monotonic() - start:.0f} s")
    training = json.loads((options.model / "training.json").read_text())
    parameters = sum(p.numel() for p in model.parameters())
    rows = [asdict(figure) | dict(zip(("low", "high"), figure.interval, strict=True)) for figure in figures]
    record = {"temperature": options.temperature, "seed": options.seed, "training": training, "figures": rows}
    (options.model / "figures.json").write_text(json.dumps(record, indent=2) + "\n")
    note = f"\n{options.note}\n" if options.note else ""
    text = card(figures, training, parameters=parameters, temperature=options.temperature, note=note)
    (options.model / "README.md").write_text(text)


if __name__ == "__main__":
    main()
