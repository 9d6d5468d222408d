# Berth's verbs; `make` alone lists them.
#
# ARGS="…" is handed to the command behind a verb: make test-fast ARGS="tests/jobs -x", make run ARGS="--image tiny".
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run dev test test-fast test-metal lint types fuzz bench docs texts lock

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# The hypervisor belongs to root: with sudo where make was not called by root. Settings go by name only, for values on a
# command line could be read by everyone.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo --preserve-env=CI,BERTH_CACHE_DIR,BERTH_DEBUG,$$(compgen -e | grep ^BERTH_ | paste -sd,))
export BERTH_CACHE_DIR ?= /var/cache/berth
# make run LISTEN=127.0.0.1:8001
ifdef LISTEN
export BERTH_LISTEN = $(LISTEN)
endif

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: ## install what is missing, make a demo and serve everything at one address
	@deploy/install.sh run
	@exec $(ROOT) $(PYTHON) manage.py serve --setup-demo $(ARGS)

dev: export BERTH_DEBUG = 1
dev: ## install what tests and checks need, then serve with tracebacks in the browser
	@deploy/install.sh dev
	@exec $(ROOT) $(PYTHON) manage.py serve --setup-demo $(ARGS)

test: ## the whole test suite, on real hypervisors, databases and a browser
	@deploy/install.sh test
	@deploy/test.sh $(ARGS)

test-fast: ## tests that need neither root nor servers, under two minutes
	@$(PYTEST) -m "not lab and not browser and not postgres and not slow" -n 4 --dist worksteal $(ARGS)

test-metal: ## limits of cards, USB and PCI devices on an emulated host with a kernel of its own
	@deploy/install.sh test
	@$(ROOT) deploy/image/ensure host >/dev/null
	@$(ROOT) $(PYTHON) -m tests.lab.cage -- $(PYTEST) -m metal tests/virt $(ARGS)

lint: ## style, formatting and the import contracts
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@.venv/bin/lint-imports --no-cache

types: ## the type checker
	@$(PYTHON) -m mypy broker pools portal

fuzz: ## throw bytes at the parsers of strangers' bytes: make fuzz MINUTES=10
	@$(PYTHON) -m tests.fuzz --minutes $(or $(MINUTES),10) $(ARGS)

bench: ## measure, each figure beside its baseline of the same run
	@deploy/install.sh test
	@$(ROOT) $(PYTHON) -m tests.lab.cage -- $(PYTHON) -m tests.bench $(ARGS)

docs: ## write the generated pages anew
	@$(PYTHON) manage.py makedocs $(ARGS)

texts: ## collect what Berth says for each language, and compile their catalogues
	@$(PYTHON) manage.py makemessages --all -v0 $(ARGS)
	@for catalogue in portal/locale/*/LC_MESSAGES/django.po; do msgfmt --check -o "$${catalogue%.po}.mo" "$$catalogue"; done

lock: ## pin the Python packages anew
	@deploy/lock.sh $(ARGS)
