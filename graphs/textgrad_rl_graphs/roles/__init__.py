"""How the loop talks to models: one small object per role, with ``render`` (messages) and ``parse`` (the answer).

    critique   judge a response                          -> Verdict
    rate       judge a response as a template asks       -> Rating
    rank       judge the responses to one question       -> a Rating each
    refine     rewrite a response as its critique says   -> text
    backward   turn a critique into feedback on causes   -> feedback per prompt and input
    rewrite    improve a prompt with its feedback        -> text

Each speaks two dialects: ``"json"`` for models that follow schemas, ``"plain"`` for small local ones.
"""

from textgrad_rl_graphs.roles.backward import BackwardRole, Cause
from textgrad_rl_graphs.roles.consult import Consultation, consult
from textgrad_rl_graphs.roles.critique import CritiqueRole, Verdict
from textgrad_rl_graphs.roles.rank import RankRole
from textgrad_rl_graphs.roles.rate import RateRole, Rating
from textgrad_rl_graphs.roles.refine import RefineRole
from textgrad_rl_graphs.roles.rewrite import RewriteRole, Version

__all__ = [
    "BackwardRole",
    "Cause",
    "Consultation",
    "CritiqueRole",
    "RankRole",
    "RateRole",
    "Rating",
    "RefineRole",
    "RewriteRole",
    "Verdict",
    "Version",
    "consult",
]
