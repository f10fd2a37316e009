"""Train a small program over HTTP, through a cache, a recording or a replay.

    python offline_worker.py cached|record|replay PATH RUN_DIR URL

Prints, as JSON, how many answers came from the cache and the calls that were counted.
"""

from __future__ import annotations

import json
import sys

import textgrad_rl as tgr
from tests.support import toy
from textgrad_rl.models import OpenAICompatible


def main(way: str, path: str, run_dir: str, url: str) -> None:
    model = OpenAICompatible(url, "toy", api_key="sk-very-secret", dialect="plain")
    trainer = toy.trainer(model, run_dir=run_dir, refine=tgr.Refine(trigger="incorrect"))
    with {"cached": tgr.cached, "record": tgr.record, "replay": tgr.replay}[way](path):
        report = trainer.fit(toy.sums(), steps=3)
    print(json.dumps({"hits": report.hits, "calls": sum(item.calls for item in report.usage.values())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
