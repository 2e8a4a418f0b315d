"""Which teacher should this base model learn from?

snakemake plan    what is left to do, and what it will cost: jobs, GPU-hours, dollars, disk
snakemake speed   how fast each stage is here, against the plain way of doing the same
snakemake check   looks at every model, key and folder of the config, and computes nothing
snakemake rank    rewards and likelihoods of each teacher's responses, CAR, a ranking of teachers for each base model
snakemake all     also fine-tunes and judges every pair, and tells how well each metric predicted the scores
snakemake paper_table   what the paper's own tables say: results/paper-table/tables

All read config/config.yaml, or the file given with --configfile in its place.
"""

import sys
from pathlib import Path

if not workflow.overwrite_configfiles:

    # a file given on the command line replaces the default study; Snakemake alone would merge the two
    configfile: "config/config.yaml"


sys.path.insert(0, workflow.basedir)
from scripts.jobs.code import declared, digest_of_code, versions_of
from scripts.jobs.failed_jobs import ends_of_logs
from scripts.jobs.reused_results import notice_of_reuse, record_code
from scripts.jobs.run_lock import hold_run_lock


include: "rules/configuration.smk"


RESULTS = f"results/{config['study']}"
CODE_RECORD = Path(f"{RESULTS}/rows/code.json")


pathvars:
    results=RESULTS,


resource_scopes:
    gpu="local",


wildcard_constraints:
    teacher=one_of(config["teachers"]),
    base=one_of(config["bases"]),
    reward_model=one_of(config["reward_models"]),
    reference_model=one_of(config["reference_models"]),
    benchmark=one_of(config["benchmarks"]),


include: "rules/miniature.smk"
include: "rules/checks.smk"
include: "rules/instructions.smk"
include: "rules/responses.smk"
include: "rules/rewards.smk"
include: "rules/likelihoods.smk"
include: "rules/mixes.smk"
include: "rules/finetuning.smk"
include: "rules/answers.smk"
include: "rules/judgments.smk"
include: "rules/scores.smk"
include: "rules/ranking.smk"
include: "rules/correlations.smk"
include: "rules/datasets.smk"
include: "rules/paper_table.smk"
include: "rules/report.smk"
include: "rules/plan.smk"
include: "rules/speed.smk"


if workflow.is_main_process and (note := notice_of_reuse(CODE_RECORD)):
    print(note, file=sys.stderr)


onstart:
    if {job.rule.name for job in workflow.dag.needrun_jobs()} - {"plan", "speed"}:  # to look is never refused
        hold_run_lock(Path(".snakemake/run.lock"))
    record_code(costly_scripts(workflow.dag.needrun_jobs()), CODE_RECORD)
    refuse_more_gpus_than_given(workflow.dag.needrun_jobs())


onerror:
    print(ends_of_logs(Path(log[0])), file=sys.stderr)


RANKING = [
    "<results>/tables/teachers.csv",
    "<results>/tables/stability.csv",
    "<results>/tables/sample_size.csv",
    "<results>/tables/sensitivity.csv",
    *expand("<results>/datasets/{base}/README.md", base=BASES),
]


localrules:
    all,
    rank,
    check,
    paper_table,
    plan,
    speed,


rule all:
    default_target: True
    input:
        checks("all"),
        checks("all") and "<results>/checks/disk.json",
        RANKING,
        # benchmarks without a protocol end with the answers; a config without any benchmark, with the ranking
        expand("<results>/answers/{benchmark}/{pair}.parquet", benchmark=UNJUDGED, pair=PAIRS),
        expand("<results>/scores/{benchmark}/{pair}.json", benchmark=JUDGED, pair=PAIRS),
        expand("<results>/tables/{table}.csv", table=TABLES if config["ap"] else []),
        "<results>/report.html" if config["ap"] else "<results>/ranking.html",


rule rank:
    input:
        checks("rank"),
        RANKING,
        "<results>/ranking.html",


rule check:
    input:
        facts=checks("all"),
        disk=checks("all") and "<results>/checks/disk.json",
    log:
        "<results>/logs/check.log",
    conda:
        "envs/analysis.yaml"
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.print_checks --facts {input.facts:q} --disk {input.disk:q} 2>{log:q}
        """
