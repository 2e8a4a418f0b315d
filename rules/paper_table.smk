"""Conclusions from the tables printed in the paper, described by config/paper/table.yaml; no study is needed.

Inputs: the paper's Tables 4 and 6 in config/paper/.
Outputs: results/paper-table/tables/ with performance.csv, size_steps.csv, baselines.csv, printed.csv and findings.csv.
"""

import yaml

with open(f"{workflow.basedir}/config/paper/table.yaml", encoding="utf-8") as file:
    PAPER = yaml.safe_load(file)

PAPER_TABLES = ["performance", "size_steps", "baselines", "printed", "findings"]


rule tabulate_paper:
    input:
        scores=PAPER["scores"],
        printed=PAPER["correlations"],
    output:
        expand("results/paper-table/tables/{table}.csv", table=PAPER_TABLES),
    log:
        "results/paper-table/logs/tabulate_paper.log",
    benchmark:
        "results/paper-table/timings/tabulate_paper.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.paper_table.tabulate_paper"),
        digests=lambda wildcards: digests_of([PAPER["scores"], PAPER["correlations"]]),
        ap=PAPER["ap"],
        teachers=json.dumps(PAPER["teachers"], sort_keys=True),
        bases=json.dumps(PAPER["bases"], sort_keys=True),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.paper_table.tabulate_paper \
            --ap {params.ap:q} \
            --teachers {params.teachers:q} \
            --bases {params.bases:q} \
            --scores {input.scores:q} \
            --printed {input.printed:q} \
            --output {params.folder:q} &>{log:q}
        """


rule paper_table:
    input:
        rules.tabulate_paper.output,
