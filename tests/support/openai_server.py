"""A real HTTP server on this machine that speaks /v1/chat/completions and answers by a Python function."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Messages = list[dict[str, Any]]


@dataclass
class Cut:
    """An answer of which only the first `sent` bytes arrive; then the connection is silent for a while and ends."""

    text: str
    sent: int
    silent_s: float = 0.0


Reply = str | Cut | tuple[int, str] | tuple[int, str, dict[str, str]]
"""A text is an answer; (status, body) or (status, body, headers) is sent as it is."""


@dataclass
class Seen:
    """One request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Server:
    """What a test knows of the running server."""

    url: str
    requests: list[Seen] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0


@contextmanager
def serve(reply: Callable[[Messages, dict[str, Any]], Reply], *, latency_s: float = 0.0) -> Iterator[Server]:
    """Run the server while the context is open; `url` ends in /v1.

    Usage counts words separated by white space. Every answer waits `latency_s` seconds.
    """
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept open
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with lock:
                server.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                server.requests.append(Seen(self.path, headers, body))
                server.open_now += 1
                server.most_open = max(server.most_open, server.open_now)
            try:
                time.sleep(latency_s)
                if self.path != "/v1/chat/completions":
                    self.answer(404, json.dumps({"error": {"message": f"no such path: {self.path}"}}), {})
                    return
                said = reply(body["messages"], body)
                if isinstance(said, str):
                    self.answer(200, json.dumps(chat_answer(said, body)), {})
                elif isinstance(said, Cut):
                    whole = json.dumps(chat_answer(said.text, body))
                    self.answer(200, whole[: said.sent], {"content-length": str(len(whole))})
                    time.sleep(said.silent_s)
                    self.close_connection = True
                else:
                    status, text, *rest = said
                    self.answer(status, text, rest[0] if rest else {})
            finally:
                with lock:
                    server.open_now -= 1

        def answer(self, status: int, text: str, headers: dict[str, str]) -> None:
            data = text.encode()
            try:
                self.send_response(status)
                told = {"content-type": "application/json", "content-length": str(len(data)), **headers}
                for name, value in told.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # a client that timed out has gone

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that goes away is part of some tests."""

    with QuietServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def chat_answer(text: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an answer."""
    read = sum(len(text_of(message["content"]).split()) for message in body["messages"])
    made = len(text.split())
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made},
    }


def text_of(content: str | list[dict[str, Any]]) -> str:
    """The words of a message, which comes in parts when it shows images."""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
