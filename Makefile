# Every command of daily work. `make demo` and `make test` need nothing but Python 3.11 or newer and this folder.
# Arguments pass through: make test ARGS="-k settlements", make demo ARGS="--port 9000".
ARGS   =
PYTHON = .venv/bin/python
QUEUES = realtime,sync,push,reports,bulk
COVERED = domventas.core.money domventas.core.times domventas.core.bulk domventas.core.tenancy \
          marketplaces.services orders.services finance.services

.PHONY: help setup demo-setup demo run worker beat shell test check lint format faults screens access cover lock

help:
	@echo "make demo      set up and serve the demo (Ctrl-C ends it)"
	@echo "make test      the test suite"
	@echo "make check     format, lint, types, layers, Django's checks, migrations, tests"
	@echo "make setup     only make .venv; also: run worker beat shell format faults screens access cover lock"

setup:
	@$(call install,dev)

demo-setup:
	@$(call install,demo)

demo: demo-setup
	@$(PYTHON) manage.py demo $(ARGS)

run: demo-setup
	@$(PYTHON) manage.py runserver $(ARGS)

worker: demo-setup
	@$(PYTHON) -m celery -A domventas worker -Q $(QUEUES) --loglevel INFO $(ARGS)

beat: demo-setup
	@$(PYTHON) -m celery -A domventas beat --pidfile= --loglevel INFO $(ARGS)

shell: demo-setup
	@$(PYTHON) manage.py shell $(ARGS)

test: setup
	@$(PYTHON) -m pytest -n 2 --dist loadgroup $(ARGS)

check: lint test

lint: setup
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@$(PYTHON) manage.py check
	@$(PYTHON) manage.py makemigrations --check --dry-run

format: setup
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

faults: setup
	@$(PYTHON) -m pytest -m "fault or slow or scenario" --faults docs/faults.md $(ARGS)

screens: setup
	@$(PYTHON) -m pytest -m screens $(ARGS)

access: setup
	@$(PYTHON) -m pytest -n 2 -m access $(ARGS)

cover: setup
	@$(PYTHON) -m pytest -n 2 --dist loadgroup $(addprefix --cov=,$(COVERED)) --cov-fail-under=95 $(ARGS)

# The later lock is held to the versions of the one before, so that a demo never changes what the tests use.
lock: setup
	@set -e; sources=; earlier=; \
	for kind in "" -demo -dev; do \
	    sources="$$sources requirements$$kind.in"; lock=requirements$$kind.txt; \
	    $(PYTHON) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	        --no-annotate $$earlier $(ARGS) -o $$lock requirements$$kind.in; \
	    mv $$lock $$lock.new; \
	    { echo "# Made by \`make lock\` from$$sources."; \
	      echo "# sha256 of these files, one after the other: $$(cat $$sources | $(SHA256))"; \
	      cat $$lock.new; } > $$lock; \
	    rm $$lock.new; earlier="-c $$lock"; \
	done

SHA256 = $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'

# A lock names every package, so nothing is left to resolve: pip 23 would look past the lock for a newer release
# of a package that another one asks for with an extra, and refuse it for want of a hash.
# Install requirements-$(1).txt into .venv unless that very lock, or the larger one of development, is installed.
define install
set -e; lock=requirements-$(1).txt; \
if [ -x .venv/bin/python ] && .venv/bin/python -c "" 2>/dev/null; then \
    if cmp -s $$lock .venv/$$lock; then exit 0; fi; \
    if [ $(1) = demo ] && cmp -s requirements-dev.txt .venv/requirements-dev.txt; then exit 0; fi; \
else \
    python=; for name in python3.13 python3.12 python3.11 python3.14 python3; do \
        if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
    done; \
    if command -v uv >/dev/null; then uv venv -q --clear --python "$${python:-3.13}" .venv; \
    elif [ -z "$$python" ]; then \
        echo "domventas needs Python 3.11 or newer. Debian, Ubuntu: apt install python3 python3-venv." \
             "macOS: brew install python@3.13. Or install uv." >&2; exit 1; \
    elif ! $$python -c "import ensurepip" 2>/dev/null; then \
        echo "$$python cannot make a virtual environment." \
             "Debian, Ubuntu: apt install python3-venv. Or install uv." >&2; exit 1; \
    else $$python -m venv --clear .venv; fi; \
fi; \
echo "Installing $$lock into .venv ..." >&2; \
if command -v uv >/dev/null; then \
    uv pip install -q --compile-bytecode --require-hashes --no-deps --python .venv/bin/python -r $$lock; \
else \
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
        --only-binary :all: -r $$lock; \
fi; \
cp $$lock .venv/$$lock
endef
