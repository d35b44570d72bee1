# Everything runs from .venv in this folder; nothing is installed elsewhere, nothing needs root, Docker or Kubernetes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOAD_INSTALLED := $(VENV)/.load-installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Darkroom needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[local,dev]'
	@touch $@

$(LOAD_INSTALLED): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[load]'
	@touch $@

.PHONY: setup
setup: $(INSTALLED) ## Make .venv with the command, the servers and the tools

.PHONY: demo
demo: setup ## Run the main job: a 12 megapixel picture resized and cropped by functions that start from zero
	$(BIN)/darkroom demo

.PHONY: up
up: setup ## Run the whole pipeline here until Ctrl-C
	$(BIN)/darkroom up

.PHONY: test
test: setup ## Everything that must hold, but for the slow suites
	$(BIN)/pytest -m 'not slow'

.PHONY: test-slow
test-slow: $(LOAD_INSTALLED) ## The slow suites: long property runs, faults, bursts
	$(BIN)/pytest -m slow

.PHONY: faults
faults: setup ## One test for each failure that must be survived, and the promise in numbers; half an hour
	DEMONSTRATION_SHARE=$(or $(SHARE),1) $(BIN)/pytest -s tests/faults

.PHONY: soak
soak: setup ## A steady load under faults: SECONDS=300 SEED=1
	$(BIN)/python -m tests.faults.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

.PHONY: load
load: export DARKROOM_API_KEY := $(or $(API_KEY),$(DARKROOM_API_KEY))
load: $(LOAD_INSTALLED) ## Load this machine, and write load-report/: SHAPE=burst; or elsewhere: HOST=http://...
	$(BIN)/python -m loadtests --shape $(or $(SHAPE),steady) $(if $(SCALE),--scale $(SCALE)) \
	  $(if $(STRETCH),--stretch $(STRETCH)) $(if $(HOST),--host $(HOST))

.PHONY: lint
lint: setup ## Style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: check
check: setup ## What a cluster would make of our manifests, and of the Dockerfile
	$(BIN)/darkroom check knative/base nats-eventing
	$(BIN)/hadolint images/Dockerfile

.PHONY: blackbox
blackbox: setup ## What clients may rely on, of DARKROOM_URL with DARKROOM_API_KEY, or of a `darkroom up`
	$(BIN)/pytest tests/blackbox

# docker, podman or buildah, whichever is there. BASE=...@sha256:... pins the base image by its digest.
ENGINE ?= $(firstword $(notdir $(shell command -v docker podman buildah)))
REGISTRY ?= dev.local/darkroom
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

# PUSH=yes sends them to the registry, and writes the digests that it gave them into OVERLAY: what runs is then what was
# pushed, whoever moves the tag.
OVERLAY ?= knative/overlays/production/kustomization.yaml

.PHONY: images
images: ## Build an image for each function: REGISTRY=registry.example.com/darkroom PUSH=yes
	@test -n "$(ENGINE)" || { echo "there is no docker, podman or buildah"; exit 1; }
	@for function in ingest status resize crop recovery; do \
	  echo "$(REGISTRY)/$$function:$(VERSION)"; \
	  $(ENGINE) build --file images/Dockerfile --build-arg FUNCTION=$$function $(if $(BASE),--build-arg BASE=$(BASE)) \
	    --tag $(REGISTRY)/$$function:$(VERSION) . || exit 1; \
	done
	@$(if $(PUSH),$(PYTHON) images/digests.py --engine $(ENGINE) --registry $(REGISTRY) --version $(VERSION) $(OVERLAY))

.PHONY: requirements
requirements: ## Write images/requirements anew: each package of an image with its version and hashes
	images/requirements.sh $(PYTHON)

.PHONY: format
format: setup ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: gallery
gallery: setup ## Render every parameter into gallery/index.html
	$(BIN)/python -m tools.gallery gallery

.PHONY: reference
reference: setup ## Write docs/ anew: OpenAPI, AsyncAPI, the page made from them, the catalog of metrics
	$(BIN)/python -m tools.reference docs
	$(BIN)/python -m tools.metrics_table docs/operations.md

.PHONY: monitoring
monitoring: setup ## Write knative/components/monitoring anew: rules, dashboards, the collector's configuration
	$(BIN)/python -m tools.monitoring knative/components/monitoring

.PHONY: cold-start
cold-start: setup ## Time from the POST to the completed job with the function at zero, median of ten, with its split
	$(BIN)/python -m benchmarks.cold_start

.PHONY: clean
clean: ## Remove what the runtime and the tools left here; .venv stays
	rm -rf .darkroom demo-output gallery load-report build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
