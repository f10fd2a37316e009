"""Templates: ``{name}`` is filled, every other brace is literal.

Not ``str.format``: prompts are full of JSON and LaTeX, whose braces must survive. ``{{name}}`` writes ``{name}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from textgrad_rl_graphs.errors import TemplateError

_FIELD = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


def fields(template: str) -> tuple[str, ...]:
    r"""Return the names a template is filled with, in order, each once.

    >>> fields('{question} {"json": 1} {{literal}} \frac{1}{2} {question}')
    ('question',)
    """
    return tuple(dict.fromkeys(match[2] for match in _FIELD.finditer(template) if match[2]))


@lru_cache(maxsize=4096)
def _compiled(template: str) -> tuple[str, frozenset[str]]:
    """Return the template as a format of the ``%`` operator, which fills it in one go, and the names it takes."""
    escaped = template.replace("%", "%%")
    form = _FIELD.sub(lambda match: f"{{{match[1]}}}" if match[1] else f"%({match[2]})s", escaped)
    return form, frozenset(fields(template))


def fill(template: str, values: Mapping[str, str], *, where: str) -> str:
    """Fill a template.

    Raises:
        TemplateError: when the template names an input that is not given, or an input is not named by it.

    >>> fill("{q} = {{x}}", {"q": "1 + 1"}, where="solve")
    '1 + 1 = {x}'
    """
    form, names = _compiled(template)
    if values.keys() != names:
        raise TemplateError(f"{where}: {_misfit(fields(template), values)}")
    return form % values


def _misfit(names: Sequence[str], values: Mapping[str, str]) -> str:
    """Say what a template and the inputs of a call do not share."""
    if missing := [name for name in names if name not in values]:
        return (
            f"the template names {{{missing[0]}}}, which the call does not give. Given: "
            f"{', '.join(values) or 'nothing'}. Pass {missing[0]}=... or write {{{{{missing[0]}}}}} for literal braces."
        )
    unused = next(name for name in values if name not in names)
    return (
        f"the call gives {unused!r}, which the template does not use. The template names: "
        f"{', '.join(names) or 'nothing'}. Add {{{unused}}} to it or drop the input."
    )
