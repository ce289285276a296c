# Every target does its own set-up and may be run again. See README.md.
PYTHON := .venv/bin/python
LIVIA := .venv/bin/livia

ROUNDS := 50
TOPOLOGY := SINGLE
MINUTES := 3
SEED :=
# processes that tests run in, most of which wait for something
TESTERS := 3

.PHONY: help run demo test check campaign alone chaos bench bench-peer down

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## start Livia and play the demo on it; stays until Ctrl-C
	@deploy/setup run
	@$(PYTHON) -m livia.ops.demo --stay

demo: ## the same, and ends with a status
	@deploy/setup run
	@$(PYTHON) -m livia.ops.demo

down: ## remove every namespace, bridge and process of Livia
	@deploy/setup run
	@$(LIVIA) down

test: ## run every test
	@deploy/setup test
	@$(PYTHON) -m pytest -n $(TESTERS) --dist loadscope --no-loadscope-reorder

check: ## ruff, mypy --strict, import-linter
	@deploy/setup test
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

campaign: ## change everything ROUNDS times under traffic, which must not notice
	@deploy/setup test
	@$(PYTHON) -m tests.load --rounds $(ROUNDS) --topology $(TOPOLOGY)

chaos: ## write at random amid kills, cuts, full disks and clock jumps, for MINUTES; SEED=n for those of before
	@deploy/setup test
	@$(PYTHON) -m tests.crash --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

alone: MINUTES := 10
alone: ## run a pair without any service for MINUTES under traffic, and kill each amphora of it once
	@deploy/setup test
	@$(PYTHON) -m tests.load.alone --minutes $(MINUTES)

bench: ## measure; writes .bench/results.jsonl
	@deploy/setup test
	@$(PYTHON) -m benchmarks

bench-peer: ## measure the API and heartbeats beside the incumbent, which it installs into .bench/peer
	@deploy/setup test
	@$(PYTHON) -m benchmarks --only peer
