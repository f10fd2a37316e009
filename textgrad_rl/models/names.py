"""From a name to a model: which backend a name means, and what to say when it could mean several.

    pocket                        the embedded model
    ./folder, /folder             a folder with a transformers model
    hf:Org/Name                   a model from the Hugging Face hub or its cache
    vllm:Org/Name                 the same, sampled by vLLM in this process; vllm:pocket and vllm:./folder too
    litellm:provider/model        any provider litellm knows
    http://host:8000/v1#model     a server that speaks the OpenAI protocol; https too

Left out: guessing. A bare ``Org/Name`` may be a folder, a hub model or a provider's model, and each costs differently.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.model import Model

FORMS = ("pocket", "./folder", "hf:Org/Name", "vllm:Org/Name", "litellm:provider/model", "http://host:8000/v1#model")
"""How names look, for messages."""

_SCHEMES = ("hf", "vllm", "litellm", "http", "https")


class ModelName(NamedTuple):
    """A name taken apart: its scheme (``"folder"`` for pocket and paths too) and the rest."""

    scheme: str
    rest: str


def parse_name(name: str) -> ModelName:
    """Return what a name means.

    Args:
        name: one of the forms above.

    Raises:
        ConfigError: a bare name with several readings, which are listed, or an incomplete one.
        UnknownNameError: an unknown scheme.

    >>> parse_name("litellm:openai/gpt-5-mini")
    ModelName(scheme='litellm', rest='openai/gpt-5-mini')
    """
    if name == "pocket":
        from textgrad_rl.pocket import folder

        return ModelName("folder", str(folder()))
    if _is_local(name):
        # Absolute: transformers would look for a relative folder that is missing on the hub.
        return ModelName("folder", str(Path(name).expanduser().absolute()))
    scheme, separator, rest = name.partition(":")
    if not separator:
        raise _bare(name)
    if scheme not in _SCHEMES:
        raise UnknownNameError("model scheme", scheme, _SCHEMES, f"Names look like {', '.join(FORMS)}.")
    if not rest:
        raise ConfigError(f"{name!r} names no model; names look like {', '.join(FORMS)}")
    return ModelName(scheme, rest)


def _is_local(name: str) -> bool:
    """Tell whether a name is the embedded model's or a folder's."""
    return name == "pocket" or name.startswith((".", "/", "~")) or Path(name).is_dir()


def load_model(name: str, **options: Any) -> Model:
    """Return the frozen model of a name.

    Args:
        name: one of the forms in the module's docstring.
        options: the backend's own, e.g. ``max_concurrency=8`` for a server, ``device="cpu"`` for a local model.

    Raises:
        ConfigError: a name or an option that no backend understands, or a model that cannot be loaded.

    >>> load_model("http://localhost:8000/v1#small", timeout_s=30.0)
    OpenAICompatible('small' at http://localhost:8000/v1)
    """
    scheme, rest = parse_name(name)
    if scheme in ("http", "https"):
        from textgrad_rl.models.address import read_address
        from textgrad_rl.models.openai_compatible import OpenAICompatible

        base, _, model = name.partition("#")
        shown = read_address(base).shown  # a user, a password or a query in an address are for nobody's eyes
        if not model:
            raise ConfigError(f"{shown!r} lacks the model: write {shown}#model")
        return _build(OpenAICompatible, (base, model), f"{shown}#{model}", options)
    if scheme == "litellm":
        from textgrad_rl.models.litellm import LiteLLM

        return _build(LiteLLM, (rest,), name, options)
    if scheme == "vllm":
        from textgrad_rl.models.vllm import load_vllm

        source = parse_name(rest).rest if _is_local(rest) else rest
        return _build(load_vllm, (source,), name, {"name": name, **options})
    from textgrad_rl.models.transformers import load_transformers

    return _build(load_transformers, (rest,), name, {"name": name, **options})


def _build(factory: Callable[..., Model], args: tuple[str, ...], name: str, options: dict[str, Any]) -> Model:
    """Call a backend, after checking that it knows every option."""
    parameters = inspect.signature(factory).parameters.values()
    known = sorted(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{name!r} knows no option {option!r}.{guess} Options: {', '.join(known)}.")
    return factory(*args, **options)


def _bare(name: str) -> ConfigError:
    """Return the error for a name without a scheme."""
    if "/" not in name and difflib.get_close_matches(name, ["pocket"], cutoff=0.7):
        return UnknownNameError("model", name, FORMS)
    provider = name if "/" in name else f"openai/{name}"
    readings = [f"./{name}", f"litellm:{provider}", f"http://host:8000/v1#{name}"]
    if "/" in name:
        readings[1:1] = [f"hf:{name}", f"vllm:{name}"]
    return ConfigError(f"the model name {name!r} can be read in several ways; write one of {', '.join(readings)}")
