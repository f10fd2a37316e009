"""Real sockets: a server with a certificate that nobody knows, and proxies from the environment."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import Server, serve
from textgrad_rl.models import load_model
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.types import Message, Request

REQUEST = Request(messages=(Message("user", "who are you"),))
HOST = "model.invalid"  # a name that leads nowhere (RFC 6761): whoever reaches it went through the proxy
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine and HOST that signs itself, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("makes a certificate with the program openssl")
    folder = tmp_path_factory.mktemp("certificate")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    about = ["-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName=IP:127.0.0.1,DNS:{HOST}"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command, *about, *files], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "certificate.pem").read_text() + (folder / "key.pem").read_text())
    return both


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until it ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass  # who goes away without a word is part of some tests
    finally:
        writer.close()


async def join(one: Streams, other: Streams) -> None:
    await asyncio.gather(pump(one[0], other[1]), pump(other[0], one[1]))


@asynccontextmanager
async def listening(handle: Callable[..., Any], **options: Any) -> AsyncIterator[int]:
    """A server on a free port, which is given; its connections end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


@asynccontextmanager
async def behind_tls(server: Server, certificate: Path) -> AsyncIterator[int]:
    """The same server with a certificate, on another port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def handle(*client: Any) -> None:
        await join(client, await asyncio.open_connection("127.0.0.1", port_of(server)))

    async with listening(handle, ssl=context) as port:
        yield port


@asynccontextmanager
async def proxy(heads: list[str], port: int) -> AsyncIterator[str]:
    """An HTTP proxy that leads every name to one port of this machine, and notes the first line of every connection."""

    async def handle(*client: Any) -> None:
        reader, writer = client
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        method, target, rest = head.split(" ", 2)
        streams = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:  # the server behind is told the path alone
            path = "/" + target.split("/", 3)[3]
            streams[1].write(f"{method} {path} {rest}".encode())
        await join(client, streams)

    async with listening(handle) as own:
        yield f"http://127.0.0.1:{own}"


async def ask(name: str, **options: Any) -> str:
    return (await load_model(name, **options).complete(REQUEST)).text


async def test_a_certificate_that_nobody_knows_is_refused_and_the_error_says_what_to_do(certificate: Path) -> None:
    with serve(lambda messages, body: "fine") as server:
        async with behind_tls(server, certificate) as port:
            with pytest.raises(ModelError, match=r"self.signed.*SSL_CERT_FILE") as caught:
                await ask(f"https://127.0.0.1:{port}/v1#small")
    assert not caught.value.retryable
    assert "Authorization" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("kind", ["openai_compatible", "litellm"])
async def test_a_certificate_is_trusted_if_the_environment_names_its_file(
    kind: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(lambda messages, body: "fine") as server:
        async with behind_tls(server, certificate) as port:
            url = f"https://127.0.0.1:{port}/v1"
            if kind == "litellm":
                assert await ask("litellm:openai/small", api_base=url, api_key="stub") == "fine"
            else:
                assert await ask(f"{url}#small") == "fine"
    assert len(server.requests) == 1


async def test_a_certificate_of_another_host_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serve(lambda messages, body: "fine") as server:
        async with behind_tls(server, certificate) as port:
            with pytest.raises(ModelError, match="localhost"):
                await ask(f"https://localhost:{port}/v1#small")
    assert server.requests == []


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []
    with serve(lambda messages, body: "fine") as server:
        async with proxy(heads, port_of(server)) as url:
            monkeypatch.setenv("HTTP_PROXY", url)
            assert await ask(f"http://{HOST}:8000/v1#small") == "fine"
    assert [head.splitlines()[0] for head in heads] == [f"POST http://{HOST}:8000/v1/chat/completions HTTP/1.1"]


async def test_https_goes_through_a_proxy_that_cannot_read_it(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heads: list[str] = []
    with serve(lambda messages, body: "fine") as server:
        async with behind_tls(server, certificate) as port, proxy(heads, port) as url:
            monkeypatch.setenv("HTTPS_PROXY", url)
            assert await ask(f"https://{HOST}/v1#small", api_key="sk-secret") == "fine"
    assert [head.splitlines()[0] for head in heads] == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert "sk-secret" not in heads[0]
    assert server.requests[0].headers["authorization"] == "Bearer sk-secret"


async def test_no_proxy_names_servers_that_are_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []
    with serve(lambda messages, body: "fine") as server:
        async with proxy(heads, port_of(server)) as url:
            monkeypatch.setenv("HTTP_PROXY", url)
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert await ask(f"{server.url}#small") == "fine"
    assert heads == []
    assert len(server.requests) == 1


async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(join) as port:
        pass  # free again
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(ModelError, match=f"127.0.0.1:{port}") as caught:
        await ask(f"http://{HOST}/v1#small", retries=0)
    assert caught.value.retryable
