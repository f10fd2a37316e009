"""The wheel, in an environment and a folder that know nothing of the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "textgrad_rl": ROOT / "textgrad_rl",
    "textgrad_rl_critics": ROOT / "critics" / "textgrad_rl_critics",
    "textgrad_rl_graphs": ROOT / "graphs" / "textgrad_rl_graphs",
}
# Every command line that has to work from the wheel alone; add to it as commands are made.
COMMANDS = [["--help"], ["quickstart", "--steps", "1", "--test-examples", "20"]]

pytestmark = pytest.mark.slow


def run(command: list[str | Path], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], folder)
    (path,) = folder.glob("textgrad_rl-*.whl")
    return path


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a new environment: the wheel, and the libraries of this one without the checkout.

    A folder named in a .pth file is searched, but the .pth files inside it are not read: so this environment's
    editable install stays out.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    paths = sysconfig.get_paths(scheme="venv", vars={"base": str(home), "platbase": str(home)})
    libraries = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    Path(paths["purelib"], "libraries.pth").write_text("\n".join(libraries) + "\n")
    python = Path(paths["scripts"], "python")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel]
    run([sys.executable, "-m", "pip", "--python", python, *install], home)
    return python.parent


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_every_file_of_the_package(package: str, wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    source = PACKAGES[package]
    files = {
        f"{package}/{path.relative_to(source).as_posix()}"
        for path in source.rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(source).parts)
    }
    assert f"{package}/py.typed" in held
    assert files <= held
    assert not [name for name in held if name.split("/")[0] not in PACKAGES and ".dist-info/" not in name]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_imported_from_the_wheel(package: str, scripts: Path, tmp_path: Path) -> None:
    place = run([scripts / "python", "-c", f"import {package}; print({package}.__file__)"], tmp_path)
    assert Path(place.strip()).is_relative_to(scripts.parent)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_starts(arguments: list[str], scripts: Path, tmp_path: Path) -> None:
    assert run([scripts / "textgrad-rl", *arguments], tmp_path)
