"""Swap the critic with one line, and read what each says about the same responses.

python examples/swap_critic.py --critic verifier|indicative|chain-of-thought|semantic
"""

import argparse

from solver_graph import CheckedSolver

import textgrad_rl as tgr
from textgrad_rl.critics import ChainOfThought, Combine, Critic, Indicative, Semantic, Verifier

ASK = "State the final answer to the following arithmetic problem:"
EXAMPLES = [
    tgr.Example({"question": f"{ASK} 4 - 7 ="}, "-3", "Step 1: 4 - 7, flip 7-4, 7-4=3, so -3. Answer: -3"),
    tgr.Example({"question": f"{ASK} 8 + 5 ="}, "13", "Step 1: 8 + 5, 8+5=13, so 13. Answer: 13"),
    tgr.Example({"question": f"{ASK} 52 - 17 ="}, "35", "Step 1: 52 - 17, 12-7=5, 5-1-1=3, so 35. Answer: 35"),
]


def make_critic(name: str, policy: tgr.Model) -> Critic:
    verifier = Verifier()  # exact match with the answer
    critics: dict[str, Critic] = {
        "verifier": verifier,  # a score, no text
        "indicative": Indicative(verifier),  # right or wrong, in a sentence
        "chain-of-thought": Combine(verifier, verifier, ChainOfThought(policy, sees="nothing")),  # self-critique
        "semantic": Semantic(verifier=verifier),  # close to the worked solution, right, well-formed
    }
    if name not in critics:
        raise tgr.UnknownNameError("critic", name, critics)
    return critics[name]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--critic", default="chain-of-thought")
    options = parser.parse_args()

    policy = tgr.load_policy("pocket")
    critic, graph = make_critic(options.critic, policy), CheckedSolver(policy)
    traces = graph.run_many(EXAMPLES)
    # Any Value can be judged: here the first draft instead of trace.output, which has been checked and revised.
    cases = [tgr.Case(trace.example, trace, trace.ordered()[0].output, trace.group) for trace in traces]
    for case, feedback in zip(cases, critic.critique(cases), strict=True):
        parts = ", ".join(f"{name} {value:.2f}" for name, value in feedback.components.items())
        print(f"{case.example.inputs['question']}\n  {case.text}")
        print(f"  score {feedback.score}, correct {feedback.correct}, sees {feedback.sees} {parts and f'({parts})'}")
        print(f"  critique: {feedback.critique or 'none'}\n")
