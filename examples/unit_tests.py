"""A sandbox as a node: a model writes a function, its unit tests run in processes with limits.

python examples/unit_tests.py [--model litellm:openai/gpt-5-mini]

What a Function raises fails the run, and its words become the critique: here the tracebacks of the code under test,
whose frames are those of that code alone. Offline, a program plays the model.
"""

from support import sandbox
from support.one_step import improve, model_from_arguments
from support.stand_ins import name_case, write_median

import textgrad_rl as tgr
from textgrad_rl.critics import Verifier

PROMPT = "Write a Python function. Answer with its code alone, without a fence."
TASK = "median(numbers): the middle of the sorted numbers, or the mean of both middles; None without numbers."
TESTS = ["assert median([3, 1, 2]) == 2", "assert median([]) is None", "assert median([1, 2, 3, 4]) == 2.5"]


def run_tests(code: str) -> str:
    """Run each test after the code."""
    failures = [said for test in TESTS if (said := sandbox.run(f"{code}\n{test}\n"))]
    if failures:
        raise tgr.PolicyFaultError(f"{len(failures)} of {len(TESTS)} tests failed\n{''.join(failures)}")
    return f"All tests passed.\n{code}"


class Programmer(tgr.Graph):
    """An LLM node with a trainable prompt, and the sandbox."""

    def __init__(self, model: tgr.Model) -> None:
        self.write = tgr.LLM(model, system=tgr.Prompt(PROMPT, describe="instructions to the programmer"))
        self.test = tgr.Function(run_tests, effects="repeatable", timeout_s=60)

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.test(await self.write(question=question))


if __name__ == "__main__":
    model = model_from_arguments(__doc__, write_median, name_case)
    critic = Verifier(lambda text, example: True, name="tests")  # what failed has been judged, the rest is right
    improve(Programmer(model), [tgr.Example({"question": TASK})], critic, model)
