# Every target sets up what it needs in .venv, from nothing; a second run starts at once.
#
#   make demo         train on real reviews, compare with a baseline, keep the model in ./demo-model
#   make demo-tag     learn to cut Chinese text into words, compare with jieba, keep the model in ./demo-segmenter
#   make demo-write   learn to write short reviews, compare with n-grams, keep the model in ./demo-writer
#   make demo-translate   learn to write numbers and dates in Chinese, keep the model in ./demo-translator
#   make test         the tests: every kernel on every instruction set, and what is built on them. ARGS="tests/test_lstm.py -k
#                     gradcheck" runs some of them
#   make test-slow    those that take long: the CUDA kernels in the emulator, kernels under the sanitizers, races and missing
#                     barriers, several processes that fail, are interrupted or killed, exports, the pages in a browser
#   make test-full    make test, then make test-slow, whatever came of the first
#   make test-arm     the kernels on another processor: compiled for aarch64 by a cross compiler, executed by qemu in the tests of
#                     tests/native; on Debian, with g++-aarch64-linux-gnu and qemu-user. ARGS="tests/native -k crf"
#   make gpu-check    on a GPU, in eight minutes, with the Python, torch and toolkit that are there (no .venv, no network):
#                     builds the CUDA kernels, tests them, runs compute-sanitizer, measures them beside cuDNN, reads
#                     counters. PARTS="info tests" runs some parts; OUT=folder takes logs, results.json and page.md.
#                     ARGS="--minutes 14", ARGS="--page docs/cuda.md" (docs/cuda.md)
#   make bench        the benchmarks, which write docs/benchmarks.md; wants an otherwise idle machine
#   make accuracy     the classifier beside strong opponents, 5 splits: docs/accuracy.md; hours, and goes on after a break.
#                     ARGS="--data FILE --only textnn tfidf" takes other texts, or some of the contestants
#   make throughput   texts a second from raw text to label: docs/throughput.md; wants an otherwise idle machine
#   make serving      the server under load: docs/serving-load.md; wants an otherwise idle machine
#   make fuzz         damaged models, checkpoints and data files for everything that reads them: docs/safety.md.
#                     ARGS="--runs 20000 --target model"; wrong arguments for operators: python -m fuzz.operators
#   make lint         ruff, mypy, clang-format, the workflows of .github against their schema
#   make docs         the pages of docs/ and the API reference as a site in build/site; a broken link is an error
#   make cuda-check   compiles the CUDA kernels for every architecture: registers, shared memory, spills, occupancy, and
#                     nothing above its budget. Takes a CUDA toolkit and says so where there is none; no GPU, no .venv.
#                     ARGS="--record" makes what the kernels use now their budgets
#   make wheel        dist/*.whl
#   make clean        removes .venv and everything built
#
#   make TORCH=torch==2.10.0 PYTHON=python3.12 test     another torch, in a .venv of its own, or another Python

PYTHON ?= python3
# What development uses; what textnn runs on stands in pyproject.toml.
USUAL_TORCH := torch==2.13.0
TORCH ?= $(USUAL_TORCH)
VENV := .venv$(if $(filter-out $(USUAL_TORCH),$(TORCH)),-$(subst =,,$(TORCH)))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh') setup.py pyproject.toml $(patsubst %,tools/%.py,cuda_toolkit parallel_compile platforms torch_floor)
ARGS ?=
OUT ?= gpu-check
PARTS ?=

JOBS ?= auto

.PHONY: demo demo-tag demo-write demo-translate test test-slow test-full test-arm gpu-check bench accuracy throughput serving fuzz lint format docs cuda-check wheel clean
.DELETE_ON_ERROR:

$(VENV)/torch.stamp:
	@echo "Setting up $(VENV) with $(TORCH), 1.5 GB in all ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "$(TORCH)" "setuptools>=77" ninja
	@touch $@

# The package itself, editable, with its compiled kernels.
$(VENV)/package.stamp: $(VENV)/torch.stamp $(SOURCES)
	@echo "Compiling the kernels, some minutes ..."
	PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --no-build-isolation -e .
	@touch $@

# The package is there, so pip takes it as it is and installs what the extra adds.
$(VENV)/%.stamp: $(VENV)/package.stamp
	$(PIP) install 'textnn[$*]'
	@touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/textnn demo $(ARGS)

demo-tag: $(VENV)/demo.stamp
	$(BIN)/textnn demo --task tag $(ARGS)

demo-write: $(VENV)/demo.stamp
	$(BIN)/textnn demo --task write $(ARGS)

demo-translate: $(VENV)/demo.stamp
	$(BIN)/textnn demo --task translate $(ARGS)

# Threads do not spin while they wait, as the other processes need the cores. Every suite runs and says how it went,
# whatever became of the one before it.
test test-slow test-full: export OMP_WAIT_POLICY = passive
test: SUITES = cpu
test-slow: SUITES = emulated slow
test-full: SUITES = cpu emulated slow
test test-slow test-full: $(VENV)/test.stamp
	$(BIN)/python -m tools.suites $(SUITES) -- -n $(JOBS) --maxprocesses 8 --dist worksteal $(ARGS)

test-arm: $(VENV)/torch.stamp
	$(BIN)/python -m tools.aarch64 test $(ARGS)

gpu-check:
	$(PYTHON) -m tools.gpu_check --out "$(OUT)" --parts "$(PARTS)" $(ARGS)

bench: $(VENV)/demo.stamp
	$(BIN)/python -m bench $(ARGS)

accuracy: $(VENV)/bench.stamp
	$(BIN)/python -m bench.accuracy $(ARGS)
	$(BIN)/python -m bench.accuracy --page

throughput: $(VENV)/bench.stamp
	$(BIN)/python -m bench.throughput $(ARGS)

serving: $(VENV)/bench.stamp
	$(BIN)/python -m bench.serving $(ARGS)

fuzz: $(VENV)/fuzz.stamp
	$(BIN)/python -m fuzz $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files '*.cpp' '*.h' '*.cu' '*.cuh' | xargs $(BIN)/clang-format --dry-run --Werror
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.cpp' '*.h' '*.cu' '*.cuh' | xargs $(BIN)/clang-format -i

docs: $(VENV)/docs.stamp
	$(BIN)/mkdocs build -q
	@echo "build/site/index.html"

cuda-check:
	$(PYTHON) -m tools.cuda_check $(ARGS)

wheel: $(VENV)/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf .venv .venv-torch* build dist gpu-check *.egg-info textnn/*.so demo-model demo-segmenter demo-writer demo-translator bench/results .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
