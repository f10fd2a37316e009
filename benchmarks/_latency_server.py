"""A server that speaks /v1/chat/completions with a fixed latency, counts, and fails a share of requests if told to.

Started as a process of its own by :class:`LatencyServer`, so that it takes no time from the side that is measured. It
answers whatever the libraries under test ask in the form that each of them reads. Raw asyncio, since a web framework
would cost more than the clients it is to measure.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Counts:
    """What was asked since the last reset, and what the server does.

    Attributes:
        latency_s: seconds from a request to its answer, failures too.
        fail_share: of the attempts that get status 500; which ones is a function of their messages and of how often
            these were sent before, so that every library meets the same share and a retry can pass.
        calls: requests, failed ones too.
        failed: requests that got status 500.
        characters: of all messages.
        peak: requests under way at once, at most.
        rounds: by first words of the system message, how often in a row one request failed, at most.
    """

    latency_s: float = 0.05
    fail_share: float = 0.0
    calls: int = 0
    failed: int = 0
    characters: int = 0
    peak: int = 0
    rounds: dict[str, int] = field(default_factory=dict)


def reply(messages: list[dict[str, Any]]) -> str:
    """Return an answer to a conversation; the same one to the same conversation."""
    system = str(messages[0]["content"])
    said = "\n".join(text_of(message["content"]) for message in messages)
    number = int(hashlib.blake2b(said.encode(), digest_size=2).hexdigest(), 16)
    advice = f"Name the quantity that is asked for, then compute it step by step and check the sign ({number})."
    if system.startswith("You improve a program"):  # textgrad-rl, backward
        return json.dumps(dict.fromkeys(re.findall(r'<cause name="(.+?)"', said), advice))
    if system.startswith("You improve a prompt"):  # textgrad-rl, rewrite
        return json.dumps({"prompt": f"Solve it. {advice}"})
    if system.startswith("You are a strict critic"):  # textgrad-rl, critique
        return json.dumps({"critique": f"The sum is off. {advice}", "verdict": "wrong"})
    if field := re.search(r"starting with the field `\[\[ ## (\w+)", said):  # dspy
        text = str(number) if field[1] == "answer" else f"Solve it. {advice}"
        return f"[[ ## {field[1]} ## ]]\n{text}\n\n[[ ## completed ## ]]"
    if field := re.search(r"JSON object in the following order of fields: `(\w+)`", said):  # dspy, reflection
        return json.dumps({field[1]: f"Solve it. {advice}"})
    if "<proposed_variable>" in said:  # adalflow, step
        return f"<response><method>ADD</method><proposed_variable>Solve it. {advice}</proposed_variable></response>"
    if "<IMPROVED_VARIABLE>" in said:  # textgrad, step
        return f"<IMPROVED_VARIABLE>Solve it. {advice}</IMPROVED_VARIABLE>"
    if "within ``` blocks" in said:  # gepa, reflection
        return f"```\nSolve it. {advice}\n```"
    if '"suggestion": {' in said:  # trace
        names = re.findall(r"\(str\) (\w+)='Solve it", said)
        return json.dumps({"reasoning": advice, "suggestion": dict.fromkeys(names, f"Solve it. {advice}")})
    return f"{advice} Answer: {number}"


def text_of(content: object) -> str:
    """Return the text of a message, which may come in parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())  # type: ignore[attr-defined]


def response(text: str, model: str, read: int, made: int) -> dict[str, Any]:
    """Return an answer of the protocol behind /v1/responses."""
    said = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "msg_0", "role": "assistant", "status": "completed", "content": [said]}
    usage = {"input_tokens": read, "output_tokens": made, "total_tokens": read + made}
    return {
        "id": "resp_0", "object": "response", "created_at": 0, "status": "completed", "model": model,
        "output": [message], "usage": usage, "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
    }  # fmt: skip


class _Connection(asyncio.Protocol):
    """One connection, kept open; requests on it are answered in order."""

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if len(rest) >= size:
            self.buffer = rest[size:]
            self.server.handle(head.split(b" ", 2)[1].decode(), json.loads(rest[:size] or b"{}"), self.answer)

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + data)


class _Server:
    """Counts, waits, answers."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.seen: Counter[str] = Counter()
        self.running = 0

    def handle(self, path: str, body: dict[str, Any], answer: Any) -> None:
        if path == "/counts":
            answer(200, vars(self.counts))
        elif path == "/reset":
            self.counts, self.seen = Counts(**body), Counter()
            answer(200, {})
        else:
            if path.endswith("/responses"):  # the newer protocol, which adalflow speaks
                asked = body["input"]
                body["messages"] = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
            self.count(body["messages"])
            failed = self.fails(body["messages"])
            asyncio.get_running_loop().call_later(self.counts.latency_s, self.finish, body, failed, answer)

    def count(self, messages: list[dict[str, Any]]) -> None:
        self.running += 1
        self.counts.calls += 1
        self.counts.characters += sum(len(text_of(message["content"])) for message in messages)
        self.counts.peak = max(self.counts.peak, self.running)

    def fails(self, messages: list[dict[str, Any]]) -> bool:
        key = hashlib.blake2b(json.dumps(messages).encode(), digest_size=8).hexdigest()
        attempt = self.seen[key]
        self.seen[key] += 1
        draw = int(hashlib.blake2b(f"{key} {attempt}".encode(), digest_size=4).hexdigest(), 16) / 2**32
        if draw >= self.counts.fail_share:
            return False
        self.counts.failed += 1
        role = text_of(messages[0]["content"])[:20]
        self.counts.rounds[role] = max(self.counts.rounds.get(role, 0), attempt + 1)
        return True

    def finish(self, body: dict[str, Any], failed: bool, answer: Any) -> None:
        self.running -= 1
        if failed:
            answer(500, {"error": {"message": "the server is out of order", "type": "server_error"}})
            return
        text = reply(body["messages"])
        read, made = sum(len(text_of(m["content"]).split()) for m in body["messages"]), len(text.split())
        message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
        if "input" in body:
            answer(200, response(text, body["model"], read, made))
            return
        about = {"id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": body["model"]}
        answer(200, {**about, "choices": [message], "usage": usage})


class LatencyServer:
    """The server's process, while the context is open.

    Attributes:
        url: ends in /v1.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._base = self._process.stdout.readline().strip()
        self.url = f"{self._base}/v1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def reset(self, *, latency_s: float, fail_share: float = 0.0) -> None:
        """Forget what was asked."""
        data = json.dumps({"latency_s": latency_s, "fail_share": fail_share}).encode()
        urllib.request.urlopen(f"{self._base}/reset", data).close()

    def counts(self) -> Counts:
        """Return what was asked since the last reset."""
        with urllib.request.urlopen(f"{self._base}/counts") as answer:
            return Counts(**json.load(answer))


async def _main() -> None:
    server = _Server()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
