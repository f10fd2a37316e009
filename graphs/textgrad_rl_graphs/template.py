"""Templates: ``{name}`` is filled, every other brace is literal.

Not ``str.format``: prompts are full of JSON and LaTeX, whose braces must survive. ``{{name}}`` writes ``{name}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from textgrad_rl_graphs.errors import TemplateError

_FIELD = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


@lru_cache(maxsize=4096)
def fields(template: str) -> tuple[str, ...]:
    r"""Return the names a template is filled with, in order, each once.

    >>> fields('{question} {"json": 1} {{literal}} \frac{1}{2} {question}')
    ('question',)
    """
    return tuple(dict.fromkeys(match[2] for match in _FIELD.finditer(template) if match[2]))


def fill(template: str, values: Mapping[str, str], *, where: str) -> str:
    """Fill a template.

    Raises:
        TemplateError: when the template names an input that is not given, or an input is not named by it.

    >>> fill("{q} = {{x}}", {"q": "1 + 1"}, where="solve")
    '1 + 1 = {x}'
    """
    names = fields(template)
    if missing := [name for name in names if name not in values]:
        raise TemplateError(
            f"{where}: the template names {{{missing[0]}}}, which the call does not give. Given: "
            f"{', '.join(values) or 'nothing'}. Pass {missing[0]}=... or write {{{{{missing[0]}}}}} for literal braces."
        )
    if unused := [name for name in values if name not in names]:
        raise TemplateError(
            f"{where}: the call gives {unused[0]!r}, which the template does not use. The template names: "
            f"{', '.join(names) or 'nothing'}. Add {{{unused[0]}}} to it or drop the input."
        )
    return _FIELD.sub(lambda match: f"{{{match[1]}}}" if match[1] else values[match[2]], template)
