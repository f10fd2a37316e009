"""Every role's text: what it is shown, and what it would answer if it made no mistake.

Solutions and critiques are single lines, so that `Response: ...` and `Critique: ...` blocks stay parseable.
Left out: JSON; the roles of larger models have their own wording.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from textgrad_rl.pocket.arithmetic import Step, work
from textgrad_rl.pocket.misconceptions import ALL, BORROW, CARRY, SIGN, Misconception, directed
from textgrad_rl.pocket.questions import Question

SOLVER = "Solve step by step."
CRITIC = "Check the solution."
REFINER = "Revise the solution."
FEEDBACK = "Give feedback on the prompt."
IMPROVE = "Improve the prompt."

KEEP = "Keep the prompt."
TELL = "Tell the solver: "
CORRECT, WRONG = "Verdict: correct", "Verdict: wrong"
IS_CORRECT, IS_WRONG = "This solution is correct.", "This solution is wrong."


@dataclass(frozen=True)
class Solution:
    """What a response says: the numbered steps up to the first unreadable one, and the answer where there is one."""

    steps: tuple[Step, ...]
    answer: int | None


def solution(steps: Sequence[Step], answer: int) -> str:
    """The response made of `steps`: `Step 1: 8 + 7, 8+7=15, so 15. Answer: 15`."""
    return "".join(f"Step {i}: {step.text}. " for i, step in enumerate(steps, 1)) + f"Answer: {answer}"


def parse_solution(response: str) -> Solution:
    """Read a response as far as it is written like a solution; never raises."""
    steps: list[Step] = []
    for number, piece in enumerate(re.split(r"\.\s+", response.strip()), 1):
        step = _parse_step(piece, number)
        if step is None:
            break
        steps.append(step)
    answer = re.search(r"Answer: (-?\d+)\s*$", response)
    return Solution(tuple(steps), int(answer.group(1)) if answer else None)


def _parse_step(piece: str, number: int) -> Step | None:
    match = re.fullmatch(rf"Step {number}: (.+?), so (-?\d+)", piece)
    if match is None:
        return None
    expression, *columns = match.group(1).split(", ")
    turn = columns.pop(0) if columns and columns[0].startswith(("flip ", "swap ")) else ""
    return Step(expression, turn, tuple(columns), int(match.group(2)))


def extract_answer(response: str) -> int | None:
    """The number after `Answer: ` at the end of a response, None where there is none."""
    return parse_solution(response).answer


def solve(question: Question) -> str:
    """The right solution of a question."""
    steps, total = [], question.first
    for operator, term in question.rest:
        steps.append(work(total, operator, term))
        total = steps[-1].value
    return solution(steps, total)


def cause(right: Step, given: Step) -> Misconception | None:
    """The misconception at the first place where `given` departs from `right`; None for any other slip."""
    if (given.expression, given.turn) != (right.expression, right.turn) or len(given.columns) != len(right.columns):
        return None
    for ours, theirs in zip(right.columns, given.columns, strict=True):
        if ours != theirs:
            side, written = ours.split("=")[0], theirs.split("=")[0]
            if side == f"{written}+1":
                return CARRY
            return BORROW if side.count("-") == 2 and _without_borrow(side) == written else None
    return SIGN if right.turn.startswith("flip") and given.value == -right.value else None


def _without_borrow(side: str) -> str:
    """A subtraction column as it reads when the borrow is forgotten: `12-3-1` -> `12-3`, `12-2-1` -> `2-2`."""
    upper, lower, _ = (int(number) for number in side.split("-"))
    return f"{upper - 10 if upper >= 10 and upper - 10 >= lower else upper}-{lower}"


def critique(question: Question, response: str) -> str:
    """Recompute every step, stop at the first wrong one and name its cause; ends with the verdict."""
    given, total, words = parse_solution(response), question.first, ""
    for number, (operator, term) in enumerate(question.rest, 1):
        right = work(total, operator, term)
        if number > len(given.steps):
            return f"{words}Step {number} is missing. {WRONG}"
        step = given.steps[number - 1]
        words += f"Step {number}: {right.text}, given {step.value}, "
        if step.value != right.value:
            found = cause(right, step)
            return f"{words}wrong. Step {number} {found.phrase if found else 'has a slip'}. {WRONG}"
        words, total = words + "right. ", right.value
    if given.answer is None:
        return f"{words}The answer is missing. {WRONG}"
    if given.answer != total:
        return f"{words}Answer: {total}, given {given.answer}, wrong. The answer has a slip. {WRONG}"
    return f"{words}Answer: {total}, given {given.answer}, right. {CORRECT}"


def verdict(text: str) -> bool | None:
    """Whether a critique calls the solution correct; None where it ends without a verdict."""
    ending = text.rstrip()
    return True if ending.endswith(CORRECT) else False if ending.endswith(WRONG) else None


def revise(question: Question, response: str, critique: str) -> str:
    """The solution as the critique has it: its recomputed steps word for word, then the terms it does not reach.

    What it calls correct stays as it is; a critique that recomputes nothing leaves the whole solution to work out. So a
    critique of another question leads to that question's steps.
    """
    if verdict(critique):
        return response
    steps: list[Step] = []
    for number, told in enumerate(re.finditer(r"Step (\d+): (.+?), given -?\d+, (?:right|wrong)\.", critique), 1):
        step = _parse_step(f"Step {told[1]}: {told[2]}", number)
        if step is None:
            break
        steps.append(step)
    total = steps[-1].value if steps else question.first
    for operator, term in question.rest[len(steps) :]:
        steps.append(work(total, operator, term))
        total = steps[-1].value
    return solution(steps, total)


def feedback(prompt: str, critiques: Sequence[str]) -> str:
    """Directives against every misconception the critiques name and the prompt does not yet speak to."""
    missing = [m for m in ALL if m not in directed(prompt) and any(m.phrase in text for text in critiques)]
    return TELL + " ".join(m.directive for m in missing) if missing else KEEP


def improve(prompt: str, feedbacks: Sequence[str]) -> str:
    """The prompt, unchanged, with the directives it lacks added at its end."""
    missing = [m for m in ALL if m not in directed(prompt) and any(m.directive in text for text in feedbacks)]
    return " ".join([prompt, *(m.directive for m in missing)]) if prompt else " ".join(m.directive for m in missing)


def critic_input(question: str, response: str, answer: str | None = None) -> str:
    """What the critic reads; `answer` is the reference, where it is shown."""
    return f"Question: {question}\nResponse: {response}" + (f"\nAnswer: {answer}" if answer is not None else "")


def refiner_input(question: str, response: str, critique: str) -> str:
    """What the refiner reads."""
    return f"Question: {question}\nResponse: {response}\nCritique: {critique}"


def feedback_input(prompt: str, critiques: Sequence[str]) -> str:
    """What the writer of prompt feedback reads."""
    return "\n".join([f"Prompt: {prompt}", *(f"Critique: {text}" for text in critiques)])


def improve_input(prompt: str, feedbacks: Sequence[str]) -> str:
    """What the writer of prompts reads."""
    return "\n".join([f"Prompt: {prompt}", *(f"Feedback: {text}" for text in feedbacks)])
