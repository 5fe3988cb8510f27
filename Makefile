# Quietroom. `make run` starts it, `make test` checks all of it; both install what they need.

.DELETE_ON_ERROR:
.PHONY: run test check bench fuzz schema fmt clean lock looks format lint types layers js fast-tests all-tests

# Where the environment forbids it, each of hundreds of processes would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
SOURCES := broker rooms signaling tests
RUNTIME := .venv/.runtime-installed
DEV := .venv/.dev-installed
BROWSER_TOOLS := node_modules/.installed
SYSTEM := build/.system-installed
# Twice as many tests at a time as there are processors, because they often wait. Browsers do not: as many as there
# are processors, and those that judge times one by one.
MANY := --numprocesses=$(shell expr $$(nproc) \* 2) --maxprocesses=16 --dist=worksteal
BROWSERS := --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

run: $(RUNTIME)  ## Start Quietroom with a demo practice.
	@QUIETROOM_DATA_DIR="$${QUIETROOM_DATA_DIR:-$(CURDIR)/data}" exec .venv/bin/quietroom demo

test:  ## Everything, as CI does; pytest last, so that its summary closes the output.
	@$(MAKE) $(TOGETHER) looks $(SYSTEM)
	@$(MAKE) --jobs=1 all-tests

check:  ## All that needs no browser.
	@$(MAKE) $(TOGETHER) looks
	@$(MAKE) --jobs=1 fast-tests

bench: $(DEV) $(SYSTEM)  ## Measure: all groups, or one with ONLY=visit.
	$(PYTHON) -m tests.bench $(ONLY)

fuzz: $(DEV)  ## Attack every parser of outside bytes: MINUTES=5 in all, one with ONLY=stun.
	@.venv/bin/pip install --quiet --disable-pip-version-check --only-binary :all: atheris==3.0.0 \
		|| echo "Without atheris: there is no wheel of it for this machine."
	$(PYTHON) -m tests.fuzz $(or $(MINUTES),5) $(ONLY)

schema: $(DEV)  ## Write what is generated from signaling/messages.py.
	$(PYTHON) -m signaling.schema

fmt: $(DEV)
	.venv/bin/ruff check --quiet --fix --exit-zero $(SOURCES)
	.venv/bin/ruff format $(SOURCES)

clean:  ## Forget everything that can be made again; data/ stays.
	rm -rf .venv node_modules build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# The steps of `check` and `test`. What looks at the code runs, and is installed, side by side.

TOGETHER := --jobs=4 --output-sync=target

looks: format lint types layers js

format: $(DEV)
	.venv/bin/ruff format --check $(SOURCES)

lint: $(DEV)
	.venv/bin/ruff check $(SOURCES)

types: $(DEV)
	.venv/bin/mypy

layers: $(DEV)
	.venv/bin/lint-imports

js: $(BROWSER_TOOLS)
	node_modules/.bin/tsc -p static/jsconfig.json
	node static/vendor/verify.mjs
	node --test tests/static/*.test.mjs

fast-tests: $(DEV)
	.venv/bin/pytest $(MANY) -m "not browser and not slow"

all-tests: $(DEV) $(SYSTEM) $(BROWSER_TOOLS)
	@again=0; \
	.venv/bin/pytest $(MANY) -m "not browser" || again=1; \
	.venv/bin/pytest $(BROWSERS) -m "browser and not alone" || again=1; \
	.venv/bin/pytest -m alone || again=1; \
	if [ $$again = 1 ]; then \
		echo "A machine that stands still fails what waits for it: those that failed, once more, one by one."; \
		.venv/bin/pytest --last-failed --last-failed-no-failures=none; \
	fi

# What they stand on. A stamp is younger than what it was made from, so a second run starts at once.

$(RUNTIME): requirements.lock pyproject.toml .ci/install
	@.ci/install .venv requirements.lock
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml .ci/install
	@.ci/install .venv requirements-dev.lock
	@touch $(RUNTIME) $@

$(BROWSER_TOOLS): package.json package-lock.json .npmrc
	@.ci/need node:nodejs npm:npm
	npm ci --silent
	@touch $@

$(SYSTEM): .ci/need
	@# libatomic: the driver inside the playwright wheel needs it, and a bare Debian has none.
	@.ci/need chromium:chromium chromedriver:chromium-driver libatomic.so.1:libatomic1 firefox-esr:firefox-esr \
		nft:nftables ip:iproute2
	@mkdir -p $(@D)
	@touch $@

# Pin anew: what pip resolves today from the ranges in pyproject.toml. Read the difference before committing it.
lock:
	rm -rf build/lock
	python3 -m venv build/lock
	build/lock/bin/pip install --quiet .
	build/lock/bin/pip freeze --exclude quietroom | grep -v '^-' > requirements.lock
	build/lock/bin/pip install --quiet '.[dev]'
	build/lock/bin/pip freeze --exclude quietroom | grep -v '^-' > requirements-dev.lock
	rm -rf build/lock
