# Namespaces, step by step. `make help` lists what can be made.

BAZEL = $(shell third_party/setup.sh bazel)
SOURCES = $(shell git ls-files '*.cc' '*.h')

.PHONY: help setup demo test soak asan lint bench docs
.DEFAULT_GOAL := help

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing
	@third_party/setup.sh build

demo: setup ## Install what is missing, build, and run all lessons
	@$(BAZEL) run //lessons:tour

test: setup ## Install what is missing, and run all tests
	@third_party/setup.sh test
	@BAZEL=$(BAZEL) tests/run.py //...

soak: setup ## Kill each lesson a hundred times, at any moment
	@BAZEL=$(BAZEL) tests/run.py --test_env=STRIKES=100 //tests:host_test

asan: setup ## Run all tests under Address- and UndefinedBehaviorSanitizer
	@third_party/setup.sh test
	@BAZEL=$(BAZEL) tests/run.py --config=asan //...

lint: setup ## Check the formatting (clang-format) and the code (clang-tidy)
	@third_party/setup.sh lint
	@clang-format --dry-run --Werror $(SOURCES)
	@$(BAZEL) build //lessons:lesson_names
	@printf '%s\n' $(filter %.cc,$(SOURCES)) | xargs -P "$$(nproc)" -n 1 \
	  sh -c 'clang-tidy --quiet "$$0" -- -std=c++20 -I. -Ibazel-bin 2>/dev/null'

bench: setup ## Measure the lessons, and what the plumbing adds to clone(2)
	@$(BAZEL) run -c opt //tests:lesson_benchmark
	@$(BAZEL) run -c opt //tests:process_benchmark

docs: setup ## Put the output of real runs into the pages
	@third_party/setup.sh test
	@$(BAZEL) build //lessons:all
	@docs/update.py
