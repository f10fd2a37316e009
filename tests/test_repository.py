"""Promises that no single module can keep: the public names, what an import costs, the pins, no machine's paths."""

import importlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ["textgrad_rl", "textgrad_rl_critics", "textgrad_rl_graphs"]

# Loaded where a thing is used, never by `import textgrad_rl`.
HEAVY = ["aiohttp", "httpx", "jinja2", "litellm", "matplotlib", "networkx", "openai", "reasoning_gym", "rich"]
HEAVY += ["sentence_transformers", "tokenizers", "torch", "transformers", "typer"]


def load(name: str) -> ModuleType:
    source = next(ROOT.glob(f"{name}/__init__.py"), None) or next(ROOT.glob(f"*/{name}/__init__.py"), None)
    if source is None:
        pytest.skip(f"{name} has no __init__.py yet")
    return importlib.import_module(name)


def is_of(thing: object, package: str) -> bool:
    """Whether a class or function was made in a package, rather than imported from elsewhere."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] == package


def python(code: str) -> str:
    """What a fresh interpreter prints, which finds the three source roots even where nothing is installed."""
    roots = [str(ROOT / folder) for folder in (".", "graphs", "critics")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_all_lists_what_is_there(name: str) -> None:
    package = load(name)
    names = package.__all__
    assert list(names) == sorted(set(names)), "sort it as `sorted` does, each name once"
    missing = [public for public in names if not hasattr(package, public)]
    assert not missing
    unlisted = [
        public
        for public, thing in vars(package).items()
        if not public.startswith("_") and public not in names and is_of(thing, name)
    ]
    assert not unlisted, "public but not in __all__: list it, or give it a private name"


@pytest.mark.parametrize("name", PACKAGES)
def test_import_loads_nothing_heavy(name: str) -> None:
    load(name)
    loaded = python(f"import sys, {name}; print(*sys.modules)").split()
    assert sorted(set(HEAVY) & set(loaded)) == []


def test_import_costs_little() -> None:
    load("textgrad_rl")
    seconds: dict[str, list[float]] = {"pydantic": [], "textgrad_rl": []}
    for _ in range(5):  # interleaved: a busy moment hits both
        for name, measured in seconds.items():
            code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
            measured.append(float(python(code)))
    ours, pydantic = (statistics.median(seconds[name]) for name in ("textgrad_rl", "pydantic"))
    uses = python("import sys, textgrad_rl; print('pydantic.main' in sys.modules)").strip()
    assert ours <= 2 * pydantic, (
        f"import textgrad_rl takes {ours * 1e3:.0f} ms, import pydantic {pydantic * 1e3:.0f} ms (without BaseModel; "
        f"does ours load BaseModel: {uses}); `python -X importtime -c 'import textgrad_rl'` shows where it goes"
    )


def test_constraints_pin_every_requirement_inside_its_range() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {}
    for line in lines:
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9a-z.]+)", line)  # no path, no address, no local build such as +cpu
        assert match, line
        pins[match[1]] = match[2]
    assert list(pins) == sorted(pins)
    assert len(pins) == len(lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"] + extras["encoder"] + extras["bench"]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != project["name"]:
            assert requirement.specifier.contains(pins[name]), f"{requirement} against {name}=={pins[name]}"


def test_files_name_no_path_of_a_machine() -> None:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    pattern = r"(^|[^A-Za-z0-9_.:/-])/(root|work|opt/wheels|opt/pypi)[^A-Za-z0-9_]"
    command = ["git", "grep", "-nIE", "--untracked", pattern, "--", ".", ":!tests/test_repository.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr  # 1: no line found
