"""Folders and repositories of the Hugging Face hub that hold an erasure."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from trace_erasure.artifact.model_card import NO_NOTES, CardNotes, model_card
from trace_erasure.errors import InputError, shown
from trace_erasure.utils.arguments import check_kind, check_text
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import check_path, make_folder
from trace_erasure.utils.numbers import check_flag

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure

WEIGHTS = "pytorch_lora_weights.safetensors"
"""The name under which diffusers' ``load_lora_weights`` finds a LoRA by itself."""
CARD = "README.md"


def save_pretrained(erasure: Erasure, folder: Path, notes: CardNotes = NO_NOTES) -> Path:
    """See ``Erasure.save_pretrained``."""
    make_folder(folder, "folder")
    erasure.save(folder / WEIGHTS)
    with atomic(folder / CARD) as partial:
        partial.write_text(model_card(erasure, notes), "utf-8")
    return folder


def weights_file(
    name: str | os.PathLike[str],
    revision: str | None = None,
    *,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Path:
    """The file of an erasure: in a folder, itself, or from the hub's cache or the hub."""
    path = check_path("name", name)
    check_text("revision", revision, optional=True)
    check_flag("local_files_only", local_files_only)
    check_token(token)
    if path.is_file():
        return path
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise InputError(
                f"the folder {path} has no {WEIGHTS}. Give a folder that save_pretrained wrote, or "
                "a file to Erasure.load."
            )
        return path / WEIGHTS
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(
            hf_hub_download(
                os.fspath(name),
                WEIGHTS,
                revision=revision,
                local_files_only=local_files_only,
                token=token,
            )
        )
    except HFValidationError as error:
        raise InputError(
            f"there is no folder {os.fspath(name)!r}, and a repository of the hub is called "
            "user/name. Check the name."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(_unreachable(os.fspath(name), "get", error)) from error


def push(
    erasure: Erasure,
    repo_id: str,
    revision: str | None,
    commit_message: str,
    *,
    private: bool | None,
    token: str | bool | None,
    notes: CardNotes = NO_NOTES,
) -> str:
    """See ``Erasure.push_to_hub``."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    check_text("repo_id", repo_id)
    check_text("revision", revision, optional=True)
    check_text("commit_message", commit_message)
    check_kind("private", private, bool, optional=True)
    check_token(token)
    api = HfApi(token=token)
    try:
        with TemporaryDirectory() as folder:
            save_pretrained(erasure, Path(folder), notes)
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            done = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                revision=revision,
                commit_message=commit_message,
            )
    except HFValidationError as error:
        raise InputError(f"{shown(repo_id)} is no name of a repository: user/name.") from error
    except (HfHubHTTPError, OSError) as error:
        raise InputError(_unreachable(repo_id, "write to", error)) from error
    return str(done.commit_url)


def check_token(token: object) -> None:
    """Raises ``InputError`` for what is no token; the message does not show it."""
    text = isinstance(token, str) and token.isascii() and token.isprintable() and token
    if not (token is None or isinstance(token, bool) or text):
        raise InputError(
            f"token is a {type(token).__name__}; allowed: the text of a token, True for the one "
            "that is logged in, False for none, or None."
        )


def _unreachable(name: str, verb: str, error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return (
        f"cannot {verb} {name!r} on the hub: {first} Check the name, the network and the token; "
        "without a network give a local folder."
    )
