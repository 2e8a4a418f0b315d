"""What public tables of teachers and base models say of each metric; no study is needed.

Inputs: config/evidence/*.yaml, each with its CSV, and the tables of the paper (paper_table.smk).
Outputs: results/evidence/tables/ with correlations.csv, summary.csv, differences.csv, winners.csv and findings.csv;
results/evidence/evidence.html.
"""

from glob import glob

from scripts.evidence.evidence_tables import evidence_files

EVIDENCE = sorted(glob("config/evidence/*.yaml"))
EVIDENCE_PAGE = "scripts/evidence/evidence.html.jinja"


rule tabulate_evidence:
    input:
        lambda wildcards: evidence_files(EVIDENCE),
    output:
        expand(
            "results/evidence/tables/{table}.csv",
            table=["correlations", "summary", "differences", "winners", "findings"],
        ),
    log:
        "results/evidence/logs/tabulate_evidence.log",
    benchmark:
        "results/evidence/timings/tabulate_evidence.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.evidence.tabulate_evidence"),
        digests=lambda wildcards: digests_of(evidence_files(EVIDENCE)),
        tables=EVIDENCE,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.evidence.tabulate_evidence \
            --tables {params.tables:q} \
            --output {params.folder:q} &>{log:q}
        """


rule write_evidence:
    input:
        tables=EVIDENCE,
        results=rules.tabulate_evidence.output,
        template=EVIDENCE_PAGE,
        macros=MACROS,
        style=STYLE,
    output:
        page="results/evidence/evidence.html",
    log:
        "results/evidence/logs/write_evidence.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.evidence.write_evidence"),
        digests=lambda wildcards: digests_of([*EVIDENCE, EVIDENCE_PAGE, MACROS, STYLE]),
        folder=lambda wildcards, input: os.path.dirname(input.results[0]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.evidence.write_evidence \
            --tables {input.tables:q} \
            --results {params.folder:q} \
            --output {output.page:q} &>{log:q}
        """


rule evidence:
    input:
        rules.write_evidence.output,
