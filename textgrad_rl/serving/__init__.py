"""An OpenAI-compatible endpoint on this machine, and agents behind one as nodes of a graph.

Left out: other machines, keys, tools, and the protocol's other routes (completions, embeddings, responses).
"""

from textgrad_rl.serving.agent import Agent
from textgrad_rl.serving.server import Server, serve

__all__ = ["Agent", "Server", "serve"]
