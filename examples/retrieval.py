"""Retrieval as a node: a model writes a query, BM25 finds a passage of a handbook, a model reads it.

python examples/retrieval.py [--model litellm:openai/gpt-5-mini]

The critique of the passage says nothing about the query, so a model explains it (backward="explain") on its way to the
prompt that writes queries. Offline, programs play the model; they know no more than stand_ins.py shows.
"""

import json
from pathlib import Path

import bm25s
from support.one_step import improve, model_from_arguments
from support.stand_ins import search_and_read, search_better

import textgrad_rl as tgr
from textgrad_rl.critics import Indicative, Verifier

ROWS = [json.loads(line) for line in (Path(__file__).with_name("data") / "handbook.jsonl").read_text().splitlines()]
PROMPT = "Write a search query of three words for the question."
READ = "Question: {question}\nPassage: {passage}\nQuote the passage: 'Answer: ' with number and unit, or none."


class Search:
    """Finds the passage that fits a query best, by BM25 over words."""

    def __init__(self, passages: list[str]) -> None:
        self.passages = passages
        self.index = bm25s.BM25()
        self.index.index(bm25s.tokenize(passages, stopwords=None, show_progress=False), show_progress=False)

    def __call__(self, query: str) -> str:
        words = bm25s.tokenize(query, stopwords=None, show_progress=False)
        found, _ = self.index.retrieve(words, corpus=self.passages, k=1, show_progress=False)
        return str(found[0, 0])


class Handbook(tgr.Graph):
    """An LLM node with a trainable prompt, the search, and an LLM node that stays as it is."""

    def __init__(self, model: tgr.Model, passages: list[str]) -> None:
        prompt = tgr.Prompt(PROMPT, describe="instructions for writing search queries")
        self.query = tgr.LLM(model, system=prompt, describe="writes a search query")
        search = "finds the passage that shares most words with the query, rare words first"
        self.search = tgr.Function(Search(passages), describe=search, backward="explain", effects="none")
        self.read = tgr.LLM(model, template=READ, describe="reads the passage")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        passage = await self.search(query=await self.query(question=question))
        return await self.read(question=question, passage=passage)


if __name__ == "__main__":
    model = model_from_arguments(__doc__, search_and_read, search_better)
    examples = [tgr.Example({"question": row["question"]}, answer=row["answer"]) for row in ROWS]
    critic = Indicative(Verifier(), reveal="answer")
    improve(Handbook(model, [row["passage"] for row in ROWS]), examples, critic, model)
