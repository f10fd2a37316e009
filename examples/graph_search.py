"""A simulator as a node: a model chooses a route, networkx drives it, the critique passes through unchanged.

python examples/graph_search.py [--model litellm:openai/gpt-5-mini]

What is wrong with a drive is wrong with its route, so backward="pass" is right and costs nothing. A road that is none
raises in networkx; that fails the run, and the error is the critique. Offline, a program plays the model: it takes the
shortest road at every crossing until its prompt says otherwise.
"""

import re

import networkx
from support.one_step import improve, model_from_arguments
from support.stand_ins import choose_route, look_ahead

import textgrad_rl as tgr
from textgrad_rl.critics import Indicative, Verifier

PROMPT = "Choose the fastest route. Answer with its crossings, separated by spaces, start and goal included."
MAPS = ["A-B 1, A-C 2, C-D 5", "A-B 2, B-D 9, A-C 4, C-D 3", "A-B 3, B-C 1, C-D 2, A-D 7"]


def network(question: str) -> networkx.Graph:
    roads = re.findall(r"(\w)-(\w) (\d+)", question)
    return networkx.Graph([(a, b, {"weight": int(minutes)}) for a, b, minutes in roads])


def drive(route: str, question: str) -> str:
    """Drive along a route and take the time."""
    minutes = networkx.path_weight(network(question), route.split(), weight="weight")
    return f"Drove {route}. Minutes on the way: {minutes}. Answer: {minutes}"


class Navigator(tgr.Graph):
    """An LLM node with a trainable prompt, and the simulator."""

    def __init__(self, model: tgr.Model) -> None:
        self.choose = tgr.LLM(model, system=tgr.Prompt(PROMPT, describe="instructions for choosing a route"))
        self.drive = tgr.Function(drive, backward="pass", effects="none")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.drive(await self.choose(question=question), question)


def example(roads: str) -> tgr.Example:
    question = f"Roads in minutes: {roads}. From A to D?"
    return tgr.Example({"question": question}, answer=str(networkx.dijkstra_path_length(network(question), "A", "D")))


if __name__ == "__main__":
    model = model_from_arguments(__doc__, choose_route, look_ahead)
    improve(Navigator(model), [example(roads) for roads in MAPS], Indicative(Verifier(), reveal="answer"), model)
