# Everything a newcomer needs: `make demo` runs the city, `make test` passes the tests.
# Needs Python >= 3.11 (3.11 is what CI runs) and Node >= 20.19 (for the web page); all else is fetched from the package registries by pinned version.

UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
PY := .venv/bin/python
ARGS ?=
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo test test-integration test-page test-alone prove lint bench load screenshot proto clean

## The main job: a simulated city on real servers, with a live map, until Ctrl-C.
## make demo ARGS="--seconds 60 --headless --report report.json"
demo: .venv/.ready gateway/web/dist/index.html
	$(PY) -m node.cli demo $(ARGS)

## All tests but the long ones, as two lines of work: those on real servers mostly wait, and the others fill the gaps.
## The others' output comes in one piece when each ends.
test: .venv/.ready gateway/web/dist/index.html
	$(MAKE) --no-print-directory -j2 --output-sync=target test-integration test-page test-alone

# The + shows its dots as they come.
test-integration:
	+$(PY) -m pytest -m "not prove" tests/integration

test-page:
	npm --prefix gateway/web run --silent check

test-alone:
	$(PY) -m pytest -m "not prove" tests/unit tests/contract tests/scenario

## Kill tests and long model runs.
prove: .venv/.ready gateway/web/dist/index.html
	$(PY) -m pytest -m prove --timeout 1800 $(ARGS)

## Style, types, import rules, protos, freshness of generated code.
lint: .venv/.ready proto/node_modules/.ready
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m proto.generate --check
	proto/node_modules/.bin/buf lint

## Measure, beside peers: make bench ARGS="dispatch --instances DIR --json FILE"
bench: .venv/.bench
	$(PY) -m node.cli bench $(ARGS)

## 30 s of Locust against a local stack of its own.
load: .venv/.bench gateway/web/dist/index.html
	$(PY) -m benchmarks.load $(ARGS)

## The picture in the README, taken of a running demo in a real browser.
screenshot: .venv/.ready gateway/web/dist/index.html
	$(PY) -m simulator.demo.picture docs/live-map.png

proto: .venv/.ready
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PY) -m proto.generate

clean:
	rm -rf .venv .uv gateway/web/dist gateway/web/node_modules proto/node_modules

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet 'uv>=0.13,<1'

.venv/.ready: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --frozen --quiet --inexact --compile-bytecode
	touch $@

.venv/.bench: .venv/.ready
	$(UV) sync --frozen --quiet --inexact --compile-bytecode --group bench
	touch $@

WEB_SOURCES := $(shell find gateway/web -path gateway/web/node_modules -prune -o -path gateway/web/dist -prune -o -type f -print 2>/dev/null)

gateway/web/node_modules/.ready: gateway/web/package.json gateway/web/package-lock.json
	npm --prefix gateway/web ci --silent
	touch $@

gateway/web/dist/index.html: gateway/web/node_modules/.ready $(WEB_SOURCES)
	npm --prefix gateway/web run --silent build
	touch $@

# No lock file: npm leaves out of it the platforms it did not install for; the one package is pinned exactly.
proto/node_modules/.ready: proto/package.json
	npm --prefix proto install --silent --no-package-lock
	touch $@
