"""What the examples with Function nodes share: one text step that prints its stations, and who plays the model.

The stand-in is no language model. Small programs play its roles, so that an example runs offline in a second: one
answers, one turns a critique into advice, and the advice is quoted into the prompt as it is.
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence

import textgrad_rl as tgr
from textgrad_rl.critics import Critic

Solve = Callable[[str, str], str]  # (system message, user message) -> answer
Advise = Callable[[str, str], str]  # (critique of a call, the call as backward shows it) -> advice on its causes


def model_from_arguments(story: str | None, solve: Solve, advise: Advise) -> tgr.Model:
    """Return the model of ``--model NAME``, or the stand-in."""
    parser = argparse.ArgumentParser(description=story, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="any name of textgrad_rl.load_model; by default small programs play the model")
    name = parser.parse_args().model
    return tgr.load_model(name) if name else tgr.FunctionModel(played(solve, advise), name="stand-in", dialect="json")


def played(solve: Solve, advise: Advise) -> Callable[[tgr.Request], str]:
    """Return a function that answers requests of every role."""

    def reply(request: tgr.Request) -> str:
        said = request.messages[-1].content
        if request.role == "backward":
            critique = re.search(r"(?s)<critique>\n(.*?)\n</critique>", said)
            advice = advise(critique[1] if critique else "", said)
            return json.dumps(dict.fromkeys(re.findall(r'<cause name="(.+?)"', said), advice))
        if request.role == "rewrite":
            return json.dumps({"prompt": " ".join(re.findall(r"(?s)<(?:prompt|feedback.*?)>\n(.*?)\n</", said))})
        return solve(request.messages[0].content, said)

    return reply


def improve(graph: tgr.Graph, examples: Sequence[tgr.Example], critic: Critic, model: tgr.Model) -> None:
    """Run the graph, send the critiques back, rewrite its prompts and run it again."""
    traces = graph.run_many(examples)
    feedback = critic.critique([tgr.Case.of(trace) for trace in traces])
    gradients = tgr.backward(traces, feedback, model=model)
    trace = next((trace for trace, item in zip(traces, feedback, strict=True) if not item.correct), traces[0])
    for call in trace.ordered():
        critique = gradients.values.get((trace.id, call.key), tgr.TextGradient())
        print(f"{call.path}: {call.output.text if call.output else '(failed)'}\n  critique: {critique.text}\n")
    for proposal in tgr.TextualGradientDescent(model=model).propose(graph.parameters(), gradients):
        print(*(f"reached {proposal.path} {times} times: {text}" for text, times in proposal.feedback), sep="\n")
        print(f"new {proposal.path}: {proposal.text}")
        proposal.prompt.text = proposal.text
    again = critic.critique([tgr.Case.of(trace) for trace in graph.run_many(examples)])
    right = (sum(item.correct is True for item in items) for items in (feedback, again))
    print("right before and after: {} and {} of {}".format(*right, len(traces)))
