"""Content hashes and seeds: every identity in this library is a function of content, never of timing.

Left out: cryptographic strength (64 bits of BLAKE2b are for identity, not for secrets).
"""

from __future__ import annotations

from hashlib import blake2b


def digest(*parts: object) -> str:
    """Return 16 hexadecimal digits that identify the sequence of parts.

    Parts are compared by their ``str``; each is preceded by its length, so ``("a", "b")`` and ``("ab",)`` differ.

    >>> digest("a", 1) == digest("a", "1")
    True
    >>> digest("a", "b") == digest("ab")
    False
    """
    text = ""
    for part in map(str, parts):
        text += f"{len(part)}:{part}"
    return digest_text(text)


def digest_text(text: str) -> str:
    """Return 16 hexadecimal digits that identify a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def seed_of_text(text: str) -> int:
    """Return the seed in [0, 2**63) that belongs to a text: ``seed_of(digest_text(text))``, in one go."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**63) that depends on every part: ``hash(run seed, step, example, sample, call, role)``."""
    return seed_of(digest("seed", *parts))


def seed_of(key: str) -> int:
    """Return the seed in [0, 2**63) that belongs to a digest."""
    return int(key, 16) >> 1
