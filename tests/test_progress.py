"""How much the hub will send is said before it does; progress goes to logs, too."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi

from trace_erasure.pipeline.hub_size import say_size
from trace_erasure.utils import progress as module
from trace_erasure.utils.progress import progress

FILES = {
    "model_index.json": 500,
    "unet/diffusion_pytorch_model.safetensors": 3_400_000_000,
    "unet/diffusion_pytorch_model.fp16.safetensors": 1_700_000_000,
    "unet/diffusion_pytorch_model.bin": 3_400_000_000,
    "text_encoder/model-00001-of-00002.safetensors": 300_000_000,
    "text_encoder/model-00002-of-00002.safetensors": 200_000_000,
    "whole.safetensors": 9_000_000_000,
}


@pytest.mark.parametrize(("variant", "said"), [(None, "3.9 GB"), ("fp16", "1.7 GB")])
def test_the_size_of_a_download_is_said(variant, said, monkeypatch, caplog):
    def model_info(self: Any, name: str, **options: Any) -> Any:
        assert options["files_metadata"] and options["revision"] == "main"
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename=file, size=size) for file, size in FILES.items()]
        )

    monkeypatch.setattr(HfApi, "model_info", model_info)
    with caplog.at_level(logging.INFO):
        say_size("user/model", "main", variant)
    assert f"user/model: {said}" in caplog.text


def test_without_a_network_nothing_is_said(monkeypatch, caplog):
    def model_info(self: Any, name: str, **options: Any) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setattr(HfApi, "model_info", model_info)
    with caplog.at_level(logging.INFO):
        say_size("user/model", None, None)
    assert not caplog.text


def test_a_log_gets_lines_and_no_bars(monkeypatch, caplog, capsys):
    monkeypatch.setattr(module, "EVERY", 0.0)
    with caplog.at_level(logging.INFO):
        assert list(progress(range(3), desc="rollout")) == [0, 1, 2]
        with progress(desc="images", total=10, initial=4) as bar:
            bar.update(3)
    lines = [record.getMessage() for record in caplog.records]
    assert "rollout: 1 of 3" in lines and "images: 7 of 10" in lines
    assert len(lines) == len(set(lines))
    assert capsys.readouterr() == ("", "")


def test_a_quick_step_is_not_logged_and_a_quiet_one_never(monkeypatch, caplog):
    with caplog.at_level(logging.INFO):
        list(progress(range(3), desc="rollout"))
    assert not caplog.records
    monkeypatch.setattr(module, "EVERY", 0.0)
    with caplog.at_level(logging.WARNING):
        list(progress(range(3), desc="rollout"))
    assert not caplog.records


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(module, "DELAY", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(progress(range(3), desc="rollout"))
    assert "\r" in capsys.readouterr().err
