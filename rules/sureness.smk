"""How sure a ranking by CAR is: with other instructions, and with other settings of CAR.

Inputs: <results>/metrics/{base}/{teacher}.parquet and <results>/tables/teachers.csv.
Outputs in <results>/tables/: stability.csv and sample_size.csv (other instructions), sensitivity.csv (other settings).
"""


rule assess_ranking:
    input:
        script="scripts/assess_ranking.py",
        imports=["scripts/car.py", "scripts/metrics.py", "scripts/rank_teachers.py", "scripts/tables.py"],
        metrics=expand("<results>/metrics/{base}/{teacher}.parquet", base=BASES, teacher=COMPARED),
    output:
        stability=report("<results>/tables/stability.csv", caption="captions/stability.rst", category="Tables"),
        sample_size=report("<results>/tables/sample_size.csv", caption="captions/sample_size.rst", category="Tables"),
    log:
        "<results>/logs/assess_ranking.log",
    benchmark:
        "<results>/timings/assess_ranking.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        car=as_json(config["car"]),
        compared=COMPARED,
        p_same_top1=config["ranking"]["p_same_top1"],
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --car {params.car:q} \
            --compared {params.compared:q} \
            --p-same-top1 {params.p_same_top1} \
            --metrics {input.metrics:q} \
            --output-stability {output.stability:q} \
            --output-sample-size {output.sample_size:q} &>{log:q}
        """


rule vary_ranking:
    input:
        script="scripts/vary_ranking.py",
        imports=[
            "scripts/car.py",
            "scripts/correlate_metrics.py",
            "scripts/metrics.py",
            "scripts/rank_statistics.py",
            "scripts/tables.py",
            "scripts/vary_car.py",
        ],
        teachers="<results>/tables/teachers.csv",
    output:
        sensitivity=report("<results>/tables/sensitivity.csv", caption="captions/sensitivity.rst", category="Tables"),
    log:
        "<results>/logs/vary_ranking.log",
    benchmark:
        "<results>/timings/vary_ranking.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        beta=config["car"]["beta"],
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --beta {params.beta} \
            --teachers {input.teachers:q} \
            --output {output.sensitivity:q} &>{log:q}
        """
