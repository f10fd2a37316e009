from base64 import b64encode

import pytest

from textgrad_rl.models.address import hide, quote, read_address
from textgrad_rl_graphs.errors import ConfigError


def test_what_is_called_and_what_is_shown() -> None:
    address = read_address("https://me:pass%20word@host:8000/v1/?key=secret%2Fkey#x")
    assert address.endpoint("/chat/completions") == "https://host:8000/v1/chat/completions?key=secret%2Fkey"
    assert address.shown == "https://host:8000/v1"
    assert address.authorization == "Basic " + b64encode(b"me:pass word").decode()
    for secret in ("pass word", "pass%20word", "secret/key", "secret%2Fkey", address.authorization):
        assert "[key]" in hide(f"oh {secret} oh", address.secrets)


def test_a_token_in_the_place_of_the_user_is_a_secret() -> None:
    address = read_address("http://long-token@[::1]:80/v1")
    assert (address.shown, hide("long-token", address.secrets)) == ("http://[::1]:80/v1", "[key]")


@pytest.mark.parametrize("wrong", ["", "host/v1", "ftp://host", "http://", "http://me:secret/word@host", "http://[::1"])
def test_what_is_no_address_is_refused_without_quoting_it(wrong: str) -> None:
    with pytest.raises(ConfigError, match="the address of a server") as caught:
        read_address(wrong)
    assert "secret" not in str(caught.value)


def test_words_are_quoted_without_secrets_and_markup() -> None:
    assert quote("x" * 495 + "very-secret", ["very-secret"]) == "x" * 495 + "[key]"
    assert quote("<html><style>p {}</style><p>Bad\n<b>Gateway</b></html>", []) == "Bad Gateway"
    assert quote(" ", []) == "(no words)"
    assert hide("x EMPTY x", ["x", "EMPTY", None]) == "x EMPTY x"  # stand-ins of local servers, no secrets
