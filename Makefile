# Namespaces, step by step. `make help` lists what can be made.

BAZEL = $(shell third_party/setup.sh bazel)
SOURCES = $(shell git ls-files '*.cc' '*.h')
# What a program is made of, and what its tests are; and how .bazelrc compiles it.
PROGRAMS = $(filter common/%.cc lessons/%.cc,$(SOURCES))
TESTS = $(filter tests/%.cc,$(SOURCES))
FLAGS = -std=c++20 -I. -Ibazel-bin $(shell sed -n 's/.*per_file_copt=.*@//p' .bazelrc | tr , ' ')
COMPILERS = $(notdir $(wildcard $(addprefix /usr/bin/,g++ g++-1? clang++ clang++-1? clang++-2? \
  aarch64-linux-gnu-g++)))
EACH = xargs -P "$$(nproc)" -n 1

.PHONY: help setup demo test soak asan lint format arm compilers platforms bench docs
.DEFAULT_GOAL := help

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing
	@third_party/setup.sh build

demo: setup ## Install what is missing, build, and run all lessons
	@$(BAZEL) run //lessons:tour
	@echo 'Next, a lesson, step by step: $(BAZEL) run //lessons:inspect -- --step --code'

test: setup ## Install what is missing, and run all tests; OPTIONS are for Bazel
	@third_party/setup.sh test
	@BAZEL=$(BAZEL) tests/run.py $(OPTIONS) //...

soak: setup ## Kill the lessons 10,000 times, and fail each of their calls once
	@$(BAZEL) run //tests:soak -- 10000 1

asan: setup ## Run all tests under Address- and UndefinedBehaviorSanitizer
	@third_party/setup.sh test
	@BAZEL=$(BAZEL) tests/run.py --config=asan //...

lint: format ## Check the formatting, and the code with clang-tidy
	@printf '%s\n' $(PROGRAMS) | $(EACH) sh -c 'clang-tidy --quiet "$$0" -- $(FLAGS) 2>/dev/null'

format: setup bazel-bin/lessons/lesson_names.h ## Check the formatting
	@third_party/setup.sh lint
	@clang-format --dry-run --Werror $(SOURCES)

arm: format ## Compile the programs for ARM
	@printf '%s\n' $(PROGRAMS) | $(EACH) aarch64-linux-gnu-g++ -fsyntax-only $(FLAGS)

compilers: setup bazel-bin/lessons/lesson_names.h ## Compile with each compiler that is installed
	@for compiler in $(COMPILERS); do echo "$$compiler"; \
	  printf '%s\n' $(PROGRAMS) $(TESTS) | $(EACH) $$compiler -fsyntax-only $(FLAGS) || exit; \
	done

bazel-bin/lessons/lesson_names.h: lessons/lessons.bzl
	@$(BAZEL) build //lessons:lesson_names

platforms: ## Run the two commands of the README in Debian 12, 13 and sid
	@tests/platforms.sh /var/tmp/platforms

bench: setup ## Measure the lessons, and what the plumbing adds to clone(2)
	@$(BAZEL) run -c opt //tests:benchmarks

docs: setup ## Put the output of real runs into the pages
	@third_party/setup.sh test
	@$(BAZEL) build //lessons:all
	@docs/update.py
