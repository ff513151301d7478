"""Numbers that users give: one message for each that is out of range, wherever it is given."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli import call, fails
from trace_erasure import Concept, EraseConfig, FinetuneConfig, InputError, generate
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.utils.numbers import MAX_SEED

SEEDS = (-1, MAX_SEED + 1, 10**14, 2**63, 1.5, "0", None, True)
NAN = float("nan")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_out_of_range_is_one_message(seed):
    with pytest.raises(InputError, match=r"seed is .*; allowed: 0 to 4398046511104 \(integers\)\."):
        EraseConfig((Concept("fox", surrogate="cat"),), seed=seed)
    with pytest.raises(InputError, match=r"seeds? is .*; allowed: (0 to|a list of numbers)"):
        generate(tiny_stable_diffusion(), "a fox", [0, seed], steps=1)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "2", None, True])
def test_steps_are_integers_from_1(steps):
    with pytest.raises(InputError, match=r"steps is .*; allowed: 1 or more \(integers\)\."):
        Sampling(steps=steps)


@pytest.mark.parametrize("scale", [NAN, float("inf"), -1.0, "3", None, True])
def test_guidance_is_finite(scale):
    with pytest.raises(InputError, match=r"guidance_scale is .*; allowed: 0 or more\."):
        Sampling(guidance_scale=scale)


@pytest.mark.parametrize("name", ["late", "early", "empty", "retain", "guidance_scale"])
def test_weights_of_the_finetune_are_numbers_from_0(name):
    for value in (-5, NAN):
        options: dict[str, Any] = {name: value}
        with pytest.raises(InputError, match=rf"finetune\.{name} is {value}; allowed: 0 or more"):
            FinetuneConfig(**options)


@pytest.mark.parametrize("verb", ["generate", "certify"])
def test_the_command_line_checks_before_it_loads(verb, tmp_path, monkeypatch):
    def load(*arguments, **options):
        raise AssertionError("loaded")

    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", load)
    arguments = {"generate": ["--prompt", "a fox"], "certify": [tmp_path / "fox.safetensors"]}
    for option, value in (
        ("--guidance-scale", "-5"),
        ("--guidance-scale", "nan"),
        ("--steps", "0"),
    ):
        result = call(verb, *arguments[verb], option, value)
        assert result.exit_code == 2 and "Traceback" not in result.output
    if verb == "generate":
        for seed in ("-3", str(MAX_SEED + 1), "1e3"):
            result = call(verb, *arguments[verb], "--seed", seed, "--out", tmp_path / "out")
            assert result.exit_code == 2 and "Traceback" not in result.output
        last = call(verb, "--prompt", "a fox", "--seed", MAX_SEED, "--count", 2)
        assert "the last seed is 4398046511105" in fails(last)
    assert not (tmp_path / "out").exists()
