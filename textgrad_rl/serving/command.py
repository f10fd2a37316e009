"""What ``textgrad-rl serve`` does."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

from textgrad_rl.models.names import load_model
from textgrad_rl.serving.server import serve


def serve_until_stopped(name: str, port: int) -> None:
    """Serve a model until Ctrl-C or SIGTERM.

    Args:
        name: any name that ``load_model`` reads.
        port: 0 takes any that is free.

    Raises:
        ConfigError: for a name that no backend knows, or a port that cannot be opened.
    """
    with suppress(KeyboardInterrupt), serve(load_model(name), port=port) as server:
        print(f"{server.name} answers at {server.url}; calls are kept at {server.run_url('RUN_ID')}", flush=True)
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        stopped.wait()
