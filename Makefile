# What one types here. Every target sets up what it needs; `make` alone lists them.

PY := .venv/bin/python
RIVALS_PY := .venv-rivals/bin/python
LINTED := src tools tests examples benchmarks

.DEFAULT_GOAL := help
SEED := $(shell date +%s)
MINUTES := 10
KILLS := 50
TOPOLOGY := all
SECONDS := 60
TARGETS :=
WORLD :=

.PHONY: help demo test quick check bench bench-full rivals policies torture anything kills outage fuzz twin setup setup-demo setup-rivals servers

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

demo: setup-demo  ## serve a real workload through the cache, and show a table
	@.venv/bin/freshwell lab

test: setup servers  ## everything: check, and all tests against real servers
	@status=0; \
	$(MAKE) --no-print-directory check || status=$$?; \
	$(PY) -m pytest -n 2 || status=$$?; \
	exit $$status

quick: setup  ## the tests that need no server and take no time, with few examples each
	@$(PY) -m pytest -q -m "not server and not slow and not race" --hypothesis-profile quick

check: setup  ## ruff, mypy, whether the sync twin is up to date, and a factor was lost
	@$(PY) -m ruff check $(LINTED)
	@$(PY) -m ruff format --check $(LINTED)
	@$(PY) tools/twin.py --check
	@$(PY) -m mypy
	@$(PY) -m benchmarks.guard

bench: setup servers  ## micro benchmarks beside their raw references
	@$(PY) -m benchmarks

policies: setup  ## hit ratios of the L1 table and other policies (TRACES=folder of recorded traces)
	@$(PY) -m benchmarks.policies $(if $(TRACES),--traces $(TRACES))

rivals: setup-rivals servers  ## other caches beside freshwell, under identical work
	@$(RIVALS_PY) -m benchmarks.rivals

bench-full: setup setup-rivals servers  ## all benchmarks at length; tables in benchmarks/results/local
	@mkdir -p benchmarks/results/local
	@$(PY) -m benchmarks
	@$(PY) -m benchmarks behind
	@$(PY) -m benchmarks.memory
	@$(PY) -m benchmarks.scale
	@$(RIVALS_PY) -m benchmarks.rivals --full \
		--json benchmarks/results/local/rivals.json \
		--markdown benchmarks/results/local/rivals.md

torture: setup servers  ## look for stale reads while everything breaks (MINUTES=10 SEED= TOPOLOGY=)
	@$(PY) -m tests.faults.checker --minutes $(MINUTES) --seed $(SEED) --topology $(TOPOLOGY)

anything: setup servers  ## callers who do anything at once, and a judge of their answers (SECONDS=60 SEED= WORLD=)
	@$(PY) -m tests.races --seconds $(SECONDS) --seed $(SEED) --world "$(WORLD)"

kills: setup servers  ## kill what writes and flushes behind, and look for lost writes (KILLS=50 SEED=)
	@$(PY) -m tests.faults.behind --kills $(KILLS) --seed $(SEED)

fuzz: setup  ## give frames, codecs, records, URLs and names any bytes (SECONDS=60 SEED= TARGETS=)
	@tools/setup.sh fuzz
	@$(PY) -m tests.fuzz $(TARGETS) --seconds $(SECONDS) --seed $(SEED)

outage: setup servers  ## let Redis fail in ten ways under readers, and show what it costs them (SECONDS=60)
	@$(PY) -m benchmarks.outage --seconds $(SECONDS)

twin: setup  ## write src/freshwell/_sync and tests/**/_sync anew from _async
	@$(PY) tools/twin.py

setup:
	@tools/setup.sh dev

setup-rivals:
	@tools/setup.sh rivals

setup-demo:
	@tools/setup.sh demo

servers:
	@tools/setup.sh servers
