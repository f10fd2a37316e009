"""A sandbox as a node: a model writes a function, its unit tests run in processes with limits.

python examples/unit_tests.py [--model litellm:openai/gpt-5-mini]

What a Function raises fails the run, and its words become the critique: here each test that failed, why, and in which
line of the code. Offline, a program plays the model.
"""

from functools import partial

from support.one_step import improve, model_from_arguments
from support.stand_ins import name_case, write_median

import textgrad_rl as tgr
from textgrad_rl.critics import Sandbox, Verifier

PROMPT = "Write a Python function. Answer with its code alone, without a fence."
TASK = "median(numbers): the middle of the sorted numbers, or the mean of both middles; None without numbers."
TESTS = ["assert median([3, 1, 2]) == 2", "assert median([]) is None", "assert median([1, 2, 3, 4]) == 2.5"]


async def run_tests(code: str, sandbox: Sandbox) -> str:
    """Run the tests in another process than the code, and tell of each that failed why."""
    report = await sandbox.acheck(code, [(test, True) for test in TESTS])
    if report.stopped:
        raise tgr.PolicyFaultError(f"The tests came to no end: {report.stopped}")
    failed = [test for test, passed in zip(TESTS, report.passed, strict=True) if not passed]
    if failed:
        why = "".join(f"\n{test}: {reason}" for test, reason in zip(failed, report.reasons, strict=True))
        raise tgr.PolicyFaultError(f"{len(failed)} of {len(TESTS)} tests failed{why}")
    return f"All tests passed.\n{code}"


class Programmer(tgr.Graph):
    """An LLM node with a trainable prompt, and its tests in a sandbox."""

    def __init__(self, model: tgr.Model, sandbox: Sandbox) -> None:
        self.write = tgr.LLM(model, system=tgr.Prompt(PROMPT, describe="instructions to the programmer"))
        self.test = tgr.Function(partial(run_tests, sandbox=sandbox), describe="runs tests", effects="repeatable")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.test(await self.write(question=question))


if __name__ == "__main__":
    model = model_from_arguments(__doc__, write_median, name_case)
    critic = Verifier(lambda text, example: True, name="tests")  # what failed has been judged, the rest is right
    improve(Programmer(model, Sandbox()), [tgr.Example({"question": TASK})], critic, model)
