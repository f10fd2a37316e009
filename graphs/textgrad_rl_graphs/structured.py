"""Typed answers: what a model has to answer with, as a pydantic model, and how its answer is read.

pydantic is not imported here: whoever has a class to pass has imported it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textgrad_rl_graphs.errors import ConfigError, ParseError, PolicyFaultError
from textgrad_rl_graphs.roles.json_answer import json_object

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

_MAX_PROBLEMS = 5


def schema_of(output: type[BaseModel]) -> Mapping[str, Any]:
    """Return the JSON schema of an answer.

    Raises:
        ConfigError: when ``output`` is no pydantic model.
    """
    if not isinstance(output, type) or not hasattr(output, "model_json_schema"):
        raise ConfigError(f"LLM(output=...) takes a pydantic model class (a subclass of BaseModel), got {output!r}")
    return output.model_json_schema()


def read_answer(output: type[BaseModel], text: str) -> BaseModel:
    """Return an answer as an instance; the JSON may stand in a fence or between words.

    Raises:
        PolicyFaultError: when it does not fit; names the fields.

    >>> from pydantic import BaseModel
    >>> class Plan(BaseModel):
    ...     steps: list[str]
    >>> read_answer(Plan, 'Sure: {"steps": ["add"]}')
    Plan(steps=['add'])
    """
    from pydantic import ValidationError

    try:
        try:
            return output.model_validate_json(text)
        except ValidationError as error:
            if error.errors()[0]["type"] != "json_invalid":
                raise
            return output.model_validate_json(json.dumps(json_object(text)))
    except ParseError as error:
        raise PolicyFaultError(f"the answer has to be a {output.__name__} as JSON: {error}") from error
    except ValidationError as error:
        raise PolicyFaultError(f"the answer is no valid {output.__name__}: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    told = [f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}" for item in found[:_MAX_PROBLEMS]]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
