"""The verdict: the rule, its sentences, and where it is shown."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import pytest

from support.artifacts import make_erasure
from support.cli import call
from trace_erasure import Concept, Erasure, InputError, erase, merge
from trace_erasure.artifact import verdict as verdicts
from trace_erasure.artifact.record import RECORD
from trace_erasure.artifact.verdict import ErasureVerdict, verdict_by, worst_of
from trace_erasure.errors import FailedErasureWarning
from trace_erasure.math.verdict import Limits, grade, worst
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

LIMITS = {"unreached": Limits(good=0.3, failed=0.7), "collateral": Limits(good=0.1)}
ALL_GOOD = {"unreached": 0.0, "collateral": 0.0}
FIGURES = ("unreached", "residual", "collateral", "retained", "empty_prompt")


def use_limits(monkeypatch, **limits):
    """Lets every mode have these limits."""
    table = {"limits": {mode: limits for mode in ("equality", "ridge")}}
    monkeypatch.setattr(verdicts, "_table", lambda: table)
    verdicts.limits_of.cache_clear()


@pytest.fixture(autouse=True)
def forget_limits():
    yield
    verdicts.limits_of.cache_clear()


@pytest.fixture
def failing(monkeypatch):
    """Every erasure is beyond the limit."""
    use_limits(monkeypatch, collateral={"good": -2.0, "failed": -1.0})


@pytest.mark.parametrize(
    "unreached, collateral, word, against",
    [
        (0.3, 0.1, "good", ()),  # a limit is within
        (0.31, 0.1, "weak", ("unreached",)),
        (0.31, 0.2, "weak", ("unreached", "collateral")),
        (0.71, 0.2, "failed", ("unreached",)),
        (0.0, 1e9, "weak", ("collateral",)),  # which has no limit of failure
        (math.nan, 0.0, "failed", ("unreached",)),
    ],
)
def test_the_rule(unreached, collateral, word, against):
    found = grade({"unreached": unreached, "collateral": collateral, "rank": 8}, LIMITS)
    assert (found.word, found.against) == (word, against)


def test_a_figure_that_is_missing_is_no_good_one():
    with pytest.raises(KeyError):
        grade({"unreached": 0.0}, LIMITS)


def test_the_worst_of_several():
    assert worst({"a": "weak", "b": "good", "c": "weak"}) == ("weak", ("a", "c"))


def test_sentences_say_the_figure_and_its_limit(monkeypatch):
    use_limits(
        monkeypatch,
        unreached={"good": 0.3, "failed": 0.7},
        collateral={"good": 0.1},
    )
    good: Any = verdict_by(ALL_GOOD, "equality", advice=["Did you mean 'fox'?"])
    assert str(good) == "good: every figure is within its limit (unreached 0, collateral 0)"
    assert good.advice == ()  # where all is well there is nothing to do
    weak = verdict_by({"unreached": 0.0, "collateral": 0.25}, "ridge")
    assert str(weak) == "weak: ordinary prompts change (collateral 0.25; good up to 0.1)"
    said = {"unreached": "'fox' is not reached"}
    failed: Any = verdict_by({**ALL_GOOD, "unreached": 1.0}, "ridge", said, ["Did you mean 'fox'?"])
    assert str(failed) == "failed: 'fox' is not reached (unreached 1; failed above 0.7)"
    assert failed.advice == ("Did you mean 'fox'?",)
    assert failed.figures == {"unreached": 1.0, "collateral": 0.0}


def test_a_mode_without_limits_has_no_verdict():
    assert verdict_by(ALL_GOOD, "null_space") is None


def test_several_are_as_good_as_the_worst():
    good = ErasureVerdict(word="good", why=("fine",))
    weak = ErasureVerdict(word="weak", why=("so so",), advice=("Look.",))
    both: Any = worst_of({"fox": good, "owl": weak})
    assert (both.word, both.why, both.advice) == ("weak", ("owl: so so",), ("Look.",))
    alone = worst_of({"fox": good})
    assert alone is not None and alone.why == ("each of the 1 is good",)
    assert worst_of({"fox": good, "old": None}) is None


def test_the_limits_name_known_figures_and_where_they_come_from():
    text = verdicts.files("trace_erasure.artifact").joinpath(verdicts.LIMITS).read_text("utf-8")
    table = json.loads(text)
    for limits in table["limits"].values():
        assert limits.keys() <= set(verdicts.SAID)
        assert all(value >= 0 for own in limits.values() for value in own.values())


def test_an_erasure_has_its_verdict_in_record_file_and_repr(failing, tmp_path):
    pipe = tiny_stable_diffusion()
    with pytest.warns(FailedErasureWarning, match="Erases: fox: failed: ordinary prompts change"):
        erasure = erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)
    assert erasure.verdict is not None and erasure.verdict.word == "failed"
    assert set(erasure.verdict.figures) == set(FIGURES)
    assert repr(erasure).endswith("of stable-diffusion, rank 9, failed>")
    again = Erasure.load(erasure.save(tmp_path / "fox"))
    assert again.verdict == erasure.verdict
    assert again.scaled(0.5).verdict is None  # the figures are of strength 1
    assert again.scaled(1).verdict == erasure.verdict


def test_a_merge_is_as_good_as_its_worst_part(failing):
    pipe = tiny_stable_diffusion()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FailedErasureWarning)
        parts = [erase(pipe, Concept(x, "dog"), captions=CAPTIONS) for x in ("fox", "horse")]
    with pytest.warns(FailedErasureWarning, match="Erases: fox: ordinary prompts change"):
        assert merge(parts, pipe, captions=CAPTIONS).verdict.word == "failed"


def test_records_without_a_verdict_are_read():
    record = RECORD.validate_json('{"kind": "custom", "title": "old"}')
    assert record.verdict is None
    assert "rank" in repr(make_erasure(tiny_stable_diffusion()))
    with pytest.raises(Exception, match="word"):
        RECORD.validate_json('{"kind": "custom", "verdict": {"word": "fine", "why": []}}')


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_stable_diffusion().save_pretrained(folder)
    return folder


def test_the_command_line_writes_no_failed_erasure(failing, model, tmp_path):
    out = tmp_path / "out"
    asked = ("erase", "--model", model, "--concept", "foxx", "--surrogate", "dog", "--out", out)
    result = call(*asked, "--quiet")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "failed: ordinary prompts change" in result.stderr
    assert "Did you mean 'fox'?" in result.stderr
    assert "Nothing was written; --force writes it all the same." in result.stderr
    assert not out.exists()

    forced = call(*asked, "--force")
    assert forced.exit_code == 0, forced.output
    assert "failed" in forced.stdout
    (file,) = out.glob("*.safetensors")
    shown = " ".join(call("info", file).stdout.split())
    assert "verdict failed: ordinary prompts change" in shown
    assert "Did you mean 'fox'?" in shown
    assert call("merge", file, "--model", model, "--out", tmp_path / "m").exit_code == 3


def test_a_dry_run_says_the_verdict_and_what_changes(failing, model, tmp_path):
    out = tmp_path / "out"
    asked = ("--model", model, "--concept", "fox", "--surrogate", "dog", "--out", out)
    result = call("erase", *asked, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "verdict: failed: ordinary prompts change" in result.stderr
    assert "erased: fox" in result.stderr
    assert "will change most (of the layers' output for the name): " in result.stderr
    assert "Nothing was written." in result.stderr
    assert not out.exists()


def test_a_model_card_says_the_verdict(failing):
    from trace_erasure.artifact.model_card import model_card

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FailedErasureWarning)
        erasure = erase(tiny_stable_diffusion(), Concept("fox", "dog"), captions=CAPTIONS)
    assert "Verdict: failed: ordinary prompts change" in model_card(erasure)


def test_bad_input_is_not_judged():
    with pytest.raises(InputError):
        erase(tiny_stable_diffusion(), Concept("fox", surrogate="fox"), captions=CAPTIONS)
