"""A quiet run prints a line for each finished job, and its errors."""

from conftest import snakemake
from scripts.jobs.progress import line_of

SNAKEFILE = """
import logging
from scripts.jobs.progress import Progress

logging.getLogger("snakemake.logging").addHandler(Progress())

rule all:
    input: "a-1.txt", "a-2.txt"

rule write:
    output: "{name}-{n}.txt"
    shell: "touch {output}"
"""


def test_a_quiet_run_prints_a_line_for_each_finished_job_and_its_errors(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    done = snakemake("--cores", "1", "--quiet", "all", cwd=tmp_path)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first.startswith("1 of 2 jobs done, less than a minute left (write name=a n=")
    assert second.startswith("2 of 2 jobs done (write name=a n=")
    failed = snakemake("nothing", "--cores", "1", "--quiet", "all", cwd=tmp_path)
    assert failed.returncode == 1 and "No rule to produce nothing" in failed.stdout


def test_the_time_left_is_in_minutes():
    assert line_of(3, 75, "finetune base=a", 350) == "3 of 75 jobs done, about 6 minutes left (finetune base=a)"
    assert line_of(74, 75, "vary_car", 70) == "74 of 75 jobs done, about 1 minute left (vary_car)"
