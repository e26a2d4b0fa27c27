# Namespaces, step by step. `make help` lists what can be made.

# What Debian 12 has to have: to build and run the lessons and the tests …
PACKAGES := bazel-bootstrap bazel-rules-cc bazel-rules-java bazel-rules-proto \
  bazel-skylib libbenchmark-dev libcap-dev libcli11-dev libfmt-dev \
  libgmock-dev libgtest-dev libmnl-dev libseccomp-dev libvalijson-dev nlohmann-json3-dev \
  hostname iproute2 procps python3 strace util-linux
# … for the tests, which skip what they lack, and for the pages …
TEST_PACKAGES := asciinema graphviz
# … and to check how they are written.
LINT_PACKAGES := clang-format clang-tidy

SOURCES = $(shell git ls-files '*.cc' '*.h')

.PHONY: help setup demo test soak asan lint bench docs
.DEFAULT_GOAL := help

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# Installs the packages $(1) that are missing; without root and sudo, says how.
define install
@missing=; for package in $(1); do \
  dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null \
    | grep -q 'ok installed' || missing="$$missing $$package"; \
done; \
[ -z "$$missing" ] && exit 0; \
if [ "$$(id -u)" = 0 ]; then sudo=; \
elif command -v sudo >/dev/null; then sudo=sudo; \
else echo "Missing packages. As root, run:"; \
  echo "  apt-get update && apt-get install --no-install-recommends -y$$missing"; exit 1; \
fi; \
echo "Installing:$$missing"; \
$$sudo apt-get -qq update && \
  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y $$missing >/dev/null
endef

setup: ## Install what is missing
	$(call install,$(PACKAGES))

demo: setup ## Install what is missing, build, and run all lessons
	@bazel run //lessons:tour

test: setup ## Install what is missing, and run all tests
	$(call install,$(TEST_PACKAGES))
	@tests/run.py //...

soak: setup ## Kill each lesson and check a hundred times, at any moment
	@tests/run.py --test_env=STRIKES=100 //tests:host_test //tests:hostile_test

asan: setup ## Run all tests under Address- and UndefinedBehaviorSanitizer
	$(call install,$(TEST_PACKAGES))
	@tests/run.py --config=asan //...

lint: setup ## Check the formatting (clang-format) and the code (clang-tidy)
	$(call install,$(LINT_PACKAGES))
	@clang-format --dry-run --Werror $(SOURCES)
	@bazel build //lessons:lesson_names
	@printf '%s\n' $(filter %.cc,$(SOURCES)) | xargs -P "$$(nproc)" -n 1 \
	  sh -c 'clang-tidy --quiet "$$0" -- -std=c++20 -I. -Ibazel-bin 2>/dev/null'

bench: setup ## Measure the lessons, and what the plumbing adds to clone(2)
	@bazel run -c opt //tests:lesson_benchmark
	@bazel run -c opt //tests:process_benchmark

docs: setup ## Put the output of real runs into the pages
	$(call install,$(TEST_PACKAGES))
	@bazel build //lessons:all
	@docs/update.py
