# Everything runs from .venv in this folder; nothing is installed elsewhere, nothing needs root, Docker or Kubernetes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed: `make demo` and `make up` need the command and the servers only; everything else needs the tools too.
LOCAL_INSTALLED := $(VENV)/.installed-local
INSTALLED := $(VENV)/.installed
LOAD_INSTALLED := $(VENV)/.load-installed
RUNNABLE := $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(LOCAL_INSTALLED))

# The commands in .venv/bin name the folder in which they were installed. Once that is moved, they are installed anew.
FOLDER := $(VENV)/.folder
MOVED := $(shell test ! -e $(FOLDER) || test "$$(cat $(FOLDER))" = "$$(pwd -P)" || echo yes)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# $(call install,EXTRAS,WHAT): pip tells what it is doing; a first installation takes from half a minute to several.
define install
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Darkroom needs Python 3.11 or newer; set PYTHON=")'
	@$(if $(MOVED),echo "This folder was moved here from $$(cat $(FOLDER)): .venv is made anew.")
	@echo "Installing $(2) into $(VENV)"
	$(PYTHON) -m venv $(if $(MOVED),--clear) $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'
	@pwd -P > $(FOLDER)
	@touch $@
endef

$(LOCAL_INSTALLED): pyproject.toml constraints.txt $(if $(MOVED),moved)
	$(call install,local,the command and the servers (350 MB))

$(INSTALLED): pyproject.toml constraints.txt $(if $(MOVED),moved)
	$(call install,local$(comma)dev,the command with the servers and all tools (900 MB))

$(LOAD_INSTALLED): $(INSTALLED)
	@echo "Installing what the load tests need into $(VENV)"
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[load]'
	@touch $@

comma := ,

.PHONY: moved
moved:

.PHONY: setup
setup: $(INSTALLED) ## Create .venv with the command, the servers and the tools

.PHONY: demo
demo: $(RUNNABLE) ## Run the main job: a 12 megapixel picture resized and cropped by functions that start from zero
	$(BIN)/darkroom demo

.PHONY: up
up: $(RUNNABLE) ## Run the whole pipeline here until Ctrl-C
	$(BIN)/darkroom up

.PHONY: test
test: setup ## Run the tests, without the slow suites
	$(BIN)/pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

# Suites in which nothing is timed. The others start whole stacks, which have both cores to themselves.
TWO_AT_A_TIME := unit contract integration manifests monitoring images

.PHONY: test-slow
test-slow: $(LOAD_INSTALLED) ## Run the slow suites: long property runs, faults, bursts
	$(BIN)/pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder $(addprefix tests/,$(TWO_AT_A_TIME))
	$(BIN)/pytest -m slow $(addprefix --ignore=tests/,$(TWO_AT_A_TIME))

.PHONY: faults
faults: setup ## Run one test per failure that must be survived, and measure the guarantees; half an hour
	DEMONSTRATION_SHARE=$(or $(SHARE),1) $(BIN)/pytest -s tests/faults

.PHONY: soak
soak: setup ## Run a steady load under faults: SECONDS=300 SEED=1 JOB_STORE=postgres
	$(BIN)/python -m tests.faults.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(JOB_STORE),--job-store $(JOB_STORE))

.PHONY: load
load: export DARKROOM_API_KEY := $(or $(API_KEY),$(DARKROOM_API_KEY))
load: $(LOAD_INSTALLED) ## Load-test a pipeline here (SHAPE=burst) or elsewhere (HOST=http://...); writes load-report/
	$(BIN)/python -m loadtests --shape $(or $(SHAPE),steady) $(if $(SCALE),--scale $(SCALE)) \
	  $(if $(STRETCH),--stretch $(STRETCH)) $(if $(HOST),--host $(HOST))

.PHONY: lint
lint: setup ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: setup ## Lint our manifests and the Dockerfile
	$(BIN)/darkroom check --fail-on hint knative/base nats-eventing knative/components/console
	$(BIN)/hadolint images/Dockerfile

.PHONY: blackbox
blackbox: setup ## Test what clients rely on, at DARKROOM_URL with DARKROOM_API_KEY or in a pipeline of its own
	$(BIN)/pytest tests/blackbox

# docker, podman or buildah, whichever is installed. BASE=...@sha256:... pins the base image by its digest.
ENGINE ?= $(firstword $(notdir $(shell command -v docker podman buildah)))
REGISTRY ?= dev.local/darkroom
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# PUSH=yes sends them to the registry, and writes the digests that it gave them into OVERLAY: what runs is then what was
# pushed, whoever moves the tag.
OVERLAY ?= knative/overlays/production/kustomization.yaml

.PHONY: images
images: ## Build an image for each function: REGISTRY=registry.example.com/darkroom PUSH=yes
	@test -n "$(ENGINE)" || { echo "none of docker, podman and buildah is installed"; exit 1; }
	@for function in $(notdir $(patsubst %/,%,$(dir $(wildcard functions/*/main.py)))) job-console; do \
	  echo "$(REGISTRY)/$$function:$(VERSION)"; \
	  $(ENGINE) build --file images/Dockerfile --build-arg FUNCTION=$$function $(if $(BASE),--build-arg BASE=$(BASE)) \
	    --tag $(REGISTRY)/$$function:$(VERSION) . || exit 1; \
	done
	@$(if $(PUSH),$(PYTHON) images/digests.py --engine $(ENGINE) --registry $(REGISTRY) --version $(VERSION) $(OVERLAY))

.PHONY: requirements
requirements: ## Write images/requirements anew: each package of an image with its version and hashes
	images/requirements.sh $(PYTHON)

.PHONY: format
format: setup ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: gallery
gallery: setup ## Render every parameter into gallery/index.html
	$(BIN)/python -m tools.gallery gallery

.PHONY: reference
reference: setup ## Regenerate docs/: OpenAPI, AsyncAPI, the reference, the tables of metrics, rules, kinds and plans
	$(BIN)/python -m tools.reference docs
	$(BIN)/python -m tools.metrics_table docs/operations.md
	$(BIN)/python -m tools.rules_table docs/check.md
	$(BIN)/python -m tools.kinds_table docs/any-project.md
	$(BIN)/python -m tools.scale_table docs/scale.md
	$(BIN)/python -m tools.tuning docs

.PHONY: monitoring
monitoring: setup ## Regenerate knative/components/monitoring: rules, dashboards, the collector's configuration
	$(BIN)/python -m tools.monitoring knative/components/monitoring

.PHONY: cold-start
cold-start: setup ## Measure a cold start, from the POST to the completed job: the median of ten, step by step
	$(BIN)/python -m benchmarks.cold_start

.PHONY: clean
clean: ## Remove what the runtime and the tools created here, except .venv
	rm -rf .darkroom demo-output gallery load-report build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
