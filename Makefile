PYTHON ?= python3
VENV := .venv
BIN = $(VENV)/bin
DEMO := demo

.PHONY: demo picture test test-all lint newest constraints clean

# A worker for each core; neighbours go to the same one, and share what they have built.
PYTEST := -m pytest -q -n auto --dist worksteal
# BLAS has one thread in each: those of several on all cores wait for each other (1 s for a fit of 0.01 s).
test test-all newest: export OPENBLAS_NUM_THREADS := 1

# All but the slow ones, for while one works; then everything.
test: .venv/ready
	$(BIN)/python $(PYTEST) -m "not slow"

test-all: .venv/ready
	$(BIN)/python $(PYTEST)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

demo: .venv/ready
	$(BIN)/python tests/demo.py $(DEMO) $(WEIGHTS)

# The image in README.md, of the page of the demo.
picture: demo
	$(BIN)/python tests/browser.py $(DEMO)/report.html docs/report.png

# The stamp is newer than all lists only if all was installed.
.venv/ready: requirements.txt requirements-cluster.txt requirements-hub.txt requirements-tflite.txt \
tests/requirements.txt constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -r tests/requirements.txt \
	-c constraints.txt
	touch $@

# The newest of everything, in an environment of its own.
newest:
	rm -rf .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade pip
	.venv-newest/bin/python -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	.venv-newest/bin/python $(PYTEST)

# Pins what is installed: after a new requirement, or with VENV=.venv-newest what `make newest` has
# tested. With the oldest Python, which needs packages that later ones do not.
constraints:
	$(BIN)/python .ci/constraints.py > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf .venv .venv-newest $(DEMO)
