"""README.md and docs/ hold: their Python blocks run, each alone in an empty folder, and their links lead somewhere.

A block that can't run here (it needs a key, a GPU, a download) has `<!-- no-run -->` in the line above its fence.
"""

import re
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if page.exists()]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

FENCE = re.compile(r"(?ms)^(?P<mark>```+|~~~+)(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=mark)[ \t]*$")
NO_RUN = re.compile(r"<!--\s*no-run\b[^>]*-->\s*\Z")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")


class Block(NamedTuple):
    """A code block: its page, the line of its first statement (from 1) and its text."""

    page: Path
    line: int
    code: str


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("code")) + 1, match["code"])
        for match in FENCE.finditer(text)
        if match["language"] in ("python", "py") and not NO_RUN.search(text, 0, match.start())
    ]


def links(page: Path) -> list[str]:
    """The relative targets of a page's links and images, without their anchors."""
    text = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(text)]
    return [target for target in targets if target and not re.match(r"[a-z]+:", target)]


BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("block", [pytest.param(block, id=f"{name(block.page)}:{block.line}") for block in BLOCKS])
def test_code_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / block.page.with_suffix(".py").name
    script.write_text("\n" * (block.line - 1) + block.code, encoding="utf-8")  # a traceback then names the page's line
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("page", [pytest.param(page, id=name(page)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not (page.parent / target).exists()] == []


def test_blocks_and_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "A [link](other.md#part), a [page](https://example.org/a.md) and `[no](link)`.\n\n"
        "```python\nfirst = 1\n```\n\n<!-- no-run -->\n```python\nnever()\n```\n\n```sh\nls [x](y)\n```\n"
    )
    assert blocks(page) == [Block(page, 4, "first = 1\n")]
    assert links(page) == ["other.md"]
