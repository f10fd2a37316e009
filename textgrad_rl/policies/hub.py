"""Trained prompts and weights together on the Hugging Face hub, with a card that says what they are.

A graph's repository holds ``prompts.json``, a folder per policy that ``from_pretrained(repo, subfolder=...)`` reads,
and the card; a policy's own repository is a model repository as any other. The state of optimizers stays at home.

Left out: the program itself. A graph is Python code, which is not run from a download: build it, then load.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgrad_rl_graphs.errors import ConfigError, RecordsError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from textgrad_rl.policies.policy import TransformersPolicy
    from textgrad_rl_graphs.graph import Graph


def export(graph: Graph, folder: str | Path, *, repo_id: str = "user/name") -> None:
    """Write what :func:`push_to_hub` uploads.

    Args:
        graph: with its prompts and policies as they are now.
        folder: a new one; ``graph.load_state(folder)`` reads it.
        repo_id: what the card says to load.

    Raises:
        RecordsError: when it cannot be written.
    """
    from textgrad_rl_graphs.prompt import Prompt

    place = Path(folder)
    try:
        graph.save(place)
        for path, parameter in graph.parameters().items():
            if not isinstance(parameter, Prompt):
                _forget_what_is_local(place / path)
        (place / "README.md").write_text(graph_card(graph, repo_id), "utf-8")
    except OSError as error:
        raise RecordsError(f"cannot write {place}: {error}") from error


def push_to_hub(graph: Graph, repo_id: str, *, private: bool = True, api: HfApi | None = None) -> str:
    """Upload prompts and policies of a graph, and return the commit's address.

    Args:
        graph: with its prompts and policies as they are now.
        repo_id: ``"user/name"``, made if it is not there.
        private: whether a new repository is; prompts may say more than they seem to.
        api: the hub's client; by default one with the token of ``hf auth login`` or ``HF_TOKEN``.

    Raises:
        RecordsError: with the hub's words, when it refuses or cannot be reached.
    """
    with tempfile.TemporaryDirectory() as space:
        export(graph, Path(space) / "graph", repo_id=repo_id)
        return _upload(Path(space) / "graph", repo_id, private, api)


def push_policy(
    policy: TransformersPolicy, repo_id: str, *, merge: bool = False, private: bool = True, api: HfApi | None = None
) -> str:
    """Upload one policy as a model repository; ``load_policy("hf:user/name")`` loads it. See :func:`push_to_hub`.

    Raises:
        ConfigError: for an adapter whose base model is a folder of this machine.
        RecordsError: as there.
    """
    with tempfile.TemporaryDirectory() as space:
        folder = Path(space) / "policy"
        policy.save(folder, merge=merge)
        if not _forget_what_is_local(folder):
            raise ConfigError(
                f"the adapter of {policy.name} belongs to a model of this machine, which nobody else has: upload whole "
                "weights with merge=True"
            )
        (folder / "README.md").write_text(policy_card(policy, repo_id, merge=merge), "utf-8")
        return _upload(folder, repo_id, private, api)


def load_from_hub(graph: Graph, repo_id: str, *, revision: str | None = None, api: HfApi | None = None) -> None:
    """Put the prompts and weights of a repository into a graph of the same structure.

    Args:
        graph: changed in place; its policies are of the architectures that were uploaded.
        repo_id: ``"user/name"``.
        revision: a branch, tag or commit; the newest by default.
        api: the hub's client.

    Raises:
        RecordsError: when the repository cannot be read or belongs to another graph.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    client = api or HfApi()
    try:
        folder = snapshot_download(repo_id, revision=revision, endpoint=client.endpoint, token=client.token)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise RecordsError(f"cannot read {repo_id} from {client.endpoint}: {error}") from error
    graph.load_state(folder)


def _forget_what_is_local(folder: Path) -> bool:
    """Drop the optimizer's state and paths of this machine; return whether the folder is a model without more."""
    from textgrad_rl.policies.lora import CONFIG_FILE, forget_local_base
    from textgrad_rl.policies.storage import forget_optimizer

    forget_optimizer(folder)
    return forget_local_base(folder) if (folder / CONFIG_FILE).exists() else True


def graph_card(graph: Graph, repo_id: str) -> str:
    """Return the card of a graph: its prompts word for word, its policies, and how to load them."""
    from textgrad_rl_graphs.prompt import Prompt

    name = type(graph).__name__
    prompts, policies = [], []
    for path, parameter in graph.parameters().items():
        if isinstance(parameter, Prompt):
            says = f" ({parameter.describe})" if parameter.describe else ""
            prompts.append(f"### `{path}`{says}\n\n{_fenced(parameter.text)}")
        else:
            policies.append(f"- `{path}/`: {_describe(parameter)}")
    build = f"graph = {name}(...)  # the program; it is not part of this repository"
    return _card(
        f"# {name}",
        f"Trained parameters of the graph `{name}`: {len(prompts)} prompts and {len(policies)} policies.",
        "## Prompts\n\n" + ("\n\n".join(prompts) or "None."),
        "## Policies\n\n" + ("\n".join(policies) or "None."),
        _how_to_load(f'{build}\ntgr.load_from_hub(graph, "{repo_id}")'),
    )


def policy_card(policy: TransformersPolicy, repo_id: str, *, merge: bool = False) -> str:
    """Return the card of a policy: what it is and how to load it."""
    return _card(
        f"# {repo_id}",
        _describe(policy, merge=merge),
        _how_to_load(f'policy = tgr.load_policy("hf:{repo_id}")'),
    )


def _how_to_load(code: str) -> str:
    return f"## Load\n\n```python\nimport textgrad_rl as tgr\n\n{code}\n```"


def _card(*parts: str) -> str:
    """Return a card with the metadata that the hub reads."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(library_name="textgrad-rl", tags=["textgrad-rl"], pipeline_tag="text-generation")
    return "\n\n".join((f"---\n{data.to_yaml()}\n---", *parts)) + "\n"


def _describe(policy: Any, *, merge: bool = False) -> str:
    """Say in one line what a policy is."""
    from textgrad_rl.policies.lora import has_adapter

    model = policy.model
    kind = "LoRA adapter of" if has_adapter(model) and not merge else "whole weights of"
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (
        f"{kind} {type(model).__name__} `{Path(policy.name).name}`, {count:,} trained parameters, weight version "
        f"{policy.weight_version}"
    )


def _fenced(text: str) -> str:
    """Return a text as a code block, whatever it holds."""
    longest = max((len(run) for run in text.replace("`", "`").split() if set(run) == {"`"}), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}text\n{text}\n{mark}"


def _upload(folder: Path, repo_id: str, private: bool, api: HfApi | None) -> str:
    """Upload a folder as one commit and return its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    client = api or HfApi()
    try:
        client.create_repo(repo_id, private=private, exist_ok=True)
        done = client.upload_folder(
            repo_id=repo_id, folder_path=folder, commit_message="Upload prompts and weights of textgrad-rl"
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise RecordsError(f"cannot upload to {repo_id} at {client.endpoint}: {error}") from error
    return str(done.commit_url)
