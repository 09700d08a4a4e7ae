PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: demo test lint clean

test: .venv/ready
	$(BIN)/python -m pytest -q

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

demo: .venv/ready
	$(BIN)/python tests/draw.py $(DEMO)/images $(DEMO)/new
	rm -f $(DEMO)/features.hdf5
	$(BIN)/python extract_features.py --dataset $(DEMO)/images --output $(DEMO)/features.hdf5 \
	|| { echo "make: no ImageNet weights here: going on with --weights random" >&2; \
	$(BIN)/python extract_features.py --dataset $(DEMO)/images --output $(DEMO)/features.hdf5 \
	--weights random; }
	$(BIN)/python train_model.py --db $(DEMO)/features.hdf5 --model $(DEMO)/model.cpickle
	$(BIN)/python classify_images.py --model $(DEMO)/model.cpickle $(DEMO)/new

# The stamp is newer than both lists of requirements only if all was installed.
.venv/ready: requirements.txt requirements-cluster.txt tests/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	touch $@

clean:
	rm -rf .venv $(DEMO)
