"""Published evaluations, run to the end on tiny pipelines."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from support.evaluation import save_clip
from support.public_lists import write_lists
from trace_erasure.baselines.registry import METHODS
from trace_erasure.cli import app
from trace_erasure.errors import InputError
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.tasks.loader import list_tasks, load_task
from trace_erasure.math.statistics import h_o
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.reproduce.checks import prepare
from trace_erasure.reproduce.erased import concepts_of, names_in
from trace_erasure.reproduce.page import page_of
from trace_erasure.reproduce.recipe import load_recipe, recipe_names
from trace_erasure.reproduce.run import Reproduction
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion

RUN = CliRunner()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip"), tiny_stable_diffusion().tokenizer)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_names_a_task_in_both_protocols_and_the_weights_of_its_judges(name):
    recipe = load_recipe(name)
    assert {f"paper/{recipe.task}", f"strict/{recipe.task}"} <= set(list_tasks())
    assert recipe.kinds and recipe.title and recipe.model


def test_an_unknown_recipe_is_refused_with_all_names():
    with pytest.raises(InputError, match="mace-objects"):
        load_recipe("mace-object")


def test_published_rows_follow_from_each_other():
    published = load_recipe("mace-objects").published
    assert published is not None and set(published.columns) <= set(METRICS)
    for acc_e, acc_s, acc_g, stated in published.rows.values():
        assert h_o(acc_e, acc_s, acc_g) == pytest.approx(stated, abs=3e-4)


def test_everything_that_is_missing_is_named_before_anything_is_loaded(tmp_path):
    with pytest.raises(InputError) as caught:
        prepare(load_recipe("mace-styles"), "paper", {}, None)
    assert "art_100_concepts.csv" in str(caught.value) and "--weights clip=" in str(caught.value)
    with pytest.raises(InputError, match="is not there"):
        prepare(load_recipe("mace-objects"), "paper", {"clip": tmp_path / "none"}, None)


def test_check_prints_needs_and_cost(clip):
    missing = RUN.invoke(app, ["reproduce", "mace-objects", "--check"], env={"COLUMNS": "200"})
    assert missing.exit_code == 2 and "--weights clip=PATH" in missing.stdout
    given = ["--weights", f"clip={clip}", "--method", "trace", "--method", "uce"]
    there = RUN.invoke(app, ["reproduce", "mace-objects", "--check", *given])
    assert there.exit_code == 0 and "20 erasures" in there.stdout


def test_names_are_read_out_of_target_prompts_alone(tmp_path):
    lists = write_lists(tmp_path)
    recipe = load_recipe("mace-celebrities")
    task = load_task("paper/mace-celebrities", prompts=lists["mace-celebrities"])
    found = concepts_of(recipe, task, "celebrities")
    assert [one.phrase for one in found] == ["Ann Fox", "Bo Horse"]
    assert {one.kind for one in found} == {"identity"}
    assert names_in(["A statue of Ann Fox"], recipe.wordings) == ()


def test_each_style_and_object_of_unlearncanvas_has_its_kind():
    recipe = load_recipe("unlearncanvas")
    task = load_task("paper/unlearncanvas", concepts=["Van Gogh", "Dogs"])
    kinds = [concepts_of(recipe, task, name)[0].kind for name in ("Van Gogh", "Dogs")]
    assert kinds == ["style", "object"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_from_start_to_end_on_a_tiny_pipeline(make, clip, tmp_path):
    recipe = load_recipe("mace-objects")
    task, judges = prepare(recipe, "paper", {"clip": clip}, None, ["airplane"])
    task = replace(task.subset(per_group=1), sampling=Sampling(steps=2, guidance_scale=2.0))
    work = Reproduction(recipe, task, judges, make(), "tiny", tmp_path)
    verdicts = work.run({"uce": METHODS["uce"]})
    page = page_of(work, verdicts)
    assert {row.method for row in page.rows} == {"base", "uce"}
    # The published row of the concept that was run has figures beside it.
    table = page.markdown().split("## ")[1]
    assert table.startswith("Published and measured")
    line = next(line for line in table.splitlines() if "uce | airplane" in line)
    assert "64.1" in line and "–" not in line
    # The same call finds everything done.
    made = {file: file.stat().st_mtime_ns for file in tmp_path.glob("erasures/*")}
    assert made and work.run({"uce": METHODS["uce"]}) == verdicts
    assert made == {file: file.stat().st_mtime_ns for file in tmp_path.glob("erasures/*")}
