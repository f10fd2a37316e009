import asyncio
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

# A documentation address (RFC 5737): nobody answers there, should the switch ever be off.
FAR = "192.0.2.1"


@pytest.fixture
def refused(network_attempts: list[str]) -> Iterator[list[str]]:
    """The refused hosts; taken back after the test, which asked for them on purpose."""
    yield network_attempts
    assert network_attempts, "nothing was refused"
    network_attempts.clear()


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, FAR), (socket.AF_INET6, "2001:db8::1")])
def test_sockets_to_other_machines_are_refused(method: str, family: int, host: str, refused: list[str]) -> None:
    with socket.socket(family) as sock, pytest.raises(RuntimeError, match="tests stay on this machine"):
        getattr(sock, method)((host, 80))
    assert refused == [host]


@pytest.mark.parametrize("resolve", ["getaddrinfo", "gethostbyname"])
def test_names_of_other_machines_are_not_looked_up(resolve: str, refused: list[str]) -> None:
    args = ("example.org", 80) if resolve == "getaddrinfo" else ("example.org",)
    with pytest.raises(RuntimeError, match="tests stay on this machine"):
        getattr(socket, resolve)(*args)
    assert refused == ["example.org"]


def test_http_clients_are_refused(refused: list[str]) -> None:
    with pytest.raises(RuntimeError, match="tests stay on this machine"):
        httpx.get("http://example.org/")
    with pytest.raises((RuntimeError, urllib.error.URLError)):
        urllib.request.urlopen("http://example.org/")


async def test_async_http_clients_are_refused(refused: list[str]) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises((RuntimeError, ExceptionGroup)):  # a group: it tries all addresses of a host at once
            await client.get(f"http://{FAR}/")
    assert refused == [FAR]


def test_a_refusal_that_the_code_swallows_fails_the_test(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_swallow.py").write_text(
        "import contextlib, socket\n"
        "def test_swallow():\n"
        "    with contextlib.suppress(Exception):\n"
        "        socket.getaddrinfo('example.org', 80)\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the test tried to reach example.org" in done.stdout


async def test_this_machine_is_reachable() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "localhost", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


@pytest.mark.skipif(sys.platform == "win32", reason="no unix sockets there")
def test_unix_sockets_are_let_through(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("HF_HUB_OFFLINE", "1"), ("LITELLM_LOCAL_MODEL_COST_MAP", "True"), ("TOKENIZERS_PARALLELISM", "false")],
)
def test_libraries_are_told_to_stay_offline(name: str, value: str) -> None:
    assert os.environ[name] == value
