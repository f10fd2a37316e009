"""What every test runs under: no network, one thread per process, no hub.

The network switch is Python's socket module, so it holds for every client written in Python (httpx, requests, aiohttp,
the OpenAI and litellm clients). A native client or a child process is held by the offline variables alone.
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

# Before anything imports torch, transformers or litellm: they read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    LITELLM_LOCAL_MODEL_COST_MAP="True",  # else litellm downloads its price list on import
    MPLBACKEND="Agg",
    TOKENIZERS_PARALLELISM="false",
)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads beside another busy process are slower than one


class NetworkInTestError(RuntimeError):
    """A test tried to reach another machine."""


def _is_local(host: Any) -> bool:
    """Whether a host names this machine without asking anyone; None and "" are the wildcard of a listening socket."""
    if isinstance(host, bytes):
        host = host.decode("idna")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session")
def network_attempts() -> list[str]:
    """The hosts that were asked for and refused, in order."""
    return []


@pytest.fixture(scope="session", autouse=True)
def _network_switch(network_attempts: list[str]) -> Iterator[None]:
    def refuse(host: Any) -> None:
        network_attempts.append(str(host))
        raise NetworkInTestError(
            f"a test tried to reach {host!r}: tests stay on this machine; use a function model or a server on 127.0.0.1"
        )

    def guard_connect(real: Any) -> Any:
        def connect(sock: socket.socket, address: Any) -> Any:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                refuse(address[0])
            return real(sock, address)

        return connect

    def guard_resolve(real: Any) -> Any:
        def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
            if not _is_local(host):
                refuse(host)
            return real(host, *args, **kwargs)

        return resolve

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, guard_connect(getattr(socket.socket, name)))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            patch.setattr(socket, name, guard_resolve(getattr(socket, name)))
        yield


@pytest.fixture(autouse=True)
def _network_attempts_fail(network_attempts: list[str]) -> Iterator[None]:
    """Fail a test whose network call was refused even where the code under test swallowed the error."""
    network_attempts.clear()
    yield
    if network_attempts:
        pytest.fail(f"the test tried to reach {', '.join(network_attempts)}; tests stay on this machine")
