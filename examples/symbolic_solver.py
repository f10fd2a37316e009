"""A symbolic solver as a node: a model writes equations, sympy solves them, a rule in Python sends the critique back.

python examples/symbolic_solver.py [--model litellm:openai/gpt-5-mini]

The rule puts the right answer into the equations and names those that contradict it. Offline, a program plays the
model; it misreads per cent until its prompt explains them.
"""

import re

import sympy
from support.equations import read
from support.one_step import improve, model_from_arguments
from support.stand_ins import explain_percent, write_equations

import textgrad_rl as tgr
from textgrad_rl.critics import Indicative, Verifier

PROMPT = "Write the problem as equations, one per line, with names in small letters; the unknown is named answer."
STORY = "A {} costs {} % more than a {}. Together they cost {}. What does the {} cost?"
ITEMS = [
    ("coat", 20, "hat", 110, "hat", 50),
    ("lamp", 50, "desk", 200, "desk", 80),
    ("saw", 30, "axe", 230, "saw", 130),
]


def solve(text: str) -> str:
    solutions = [values.get(sympy.Symbol("answer")) for values in sympy.solve(read(text), dict=True)]
    return f"{len(solutions)} solutions. Answer: {solutions[0] if solutions else 'none'}"


def contradicted(call: tgr.Call, critique: str) -> dict[str, str]:
    """Add which equations the right answer contradicts, given the others."""
    right = re.search(r"The answer is (\d+)", critique)  # not if they cannot be read: then the critique says that
    equations = read(call.inputs["text"].text) if right else []
    for equation in equations:
        others = [*read(f"answer = {right[1]}"), *(other for other in equations if other is not equation)]
        for values in sympy.solve(others, dict=True):
            if equation.subs(values) is sympy.false:
                critique += f" But then {values} contradicts {equation.lhs} = {equation.rhs}."
    return {"text": critique}


class WordProblems(tgr.Graph):
    """An LLM node with a trainable prompt, and the solver."""

    def __init__(self, model: tgr.Model) -> None:
        self.write = tgr.LLM(model, system=tgr.Prompt(PROMPT, describe="instructions for writing equations"))
        self.solve = tgr.Function(solve, backward=contradicted, effects="none", timeout_s=20)

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.solve(text=await self.write(question=question))


if __name__ == "__main__":
    model = model_from_arguments(__doc__, write_equations, explain_percent)
    examples = [tgr.Example({"question": STORY.format(*item)}, answer=str(item[-1])) for item in ITEMS]
    improve(WordProblems(model), examples, Indicative(Verifier(), reveal="answer"), model)
