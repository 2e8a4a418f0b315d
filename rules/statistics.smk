"""How well the metrics predict average performance, which of them differ, and what can be concluded.

Inputs: <results>/tables/teachers.csv and <results>/tables/performance.csv.
Outputs, in <results>/tables/: correlations.csv (rho of each metric with AP, with intervals), differences.csv (every pair
of metrics), car.csv (CAR with other betas, reward models and origins), size_steps.csv (whether a family's larger teacher
is the better one) and conclusions.csv (in words, for each base).
"""

TABLES = ["performance", "correlations", "differences", "car", "size_steps", "conclusions"]


rule correlate_metrics:
    input:
        script="scripts/correlate_metrics.py",
        imports=["scripts/car.py", "scripts/metrics.py", "scripts/rank_statistics.py", "scripts/tables.py"],
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
    output:
        correlations=report("<results>/tables/correlations.csv", caption="captions/correlations.rst", category="Tables"),
    log:
        "<results>/logs/correlate_metrics.log",
    benchmark:
        "<results>/timings/correlate_metrics.tsv"
    conda:
        "../envs/analysis.yaml"
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --output {output.correlations:q} &>{log:q}
        """


rule compare_metrics:
    input:
        script="scripts/compare_metrics.py",
        imports=[
            "scripts/car.py",
            "scripts/correlate_metrics.py",
            "scripts/metrics.py",
            "scripts/rank_statistics.py",
            "scripts/tables.py",
        ],
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
    output:
        differences=report("<results>/tables/differences.csv", caption="captions/differences.rst", category="Tables"),
    log:
        "<results>/logs/compare_metrics.log",
    benchmark:
        "<results>/timings/compare_metrics.tsv"
    conda:
        "../envs/analysis.yaml"
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --output {output.differences:q} &>{log:q}
        """


rule vary_car:
    input:
        script="scripts/vary_car.py",
        imports=[
            "scripts/car.py",
            "scripts/correlate_metrics.py",
            "scripts/metrics.py",
            "scripts/rank_statistics.py",
            "scripts/tables.py",
        ],
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
    output:
        car=report("<results>/tables/car.csv", caption="captions/car.rst", category="Tables"),
    log:
        "<results>/logs/vary_car.log",
    benchmark:
        "<results>/timings/vary_car.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        beta=config["car"]["beta"],
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --beta {params.beta} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --output {output.car:q} &>{log:q}
        """


rule compare_sizes:
    input:
        script="scripts/compare_sizes.py",
        imports=[
            "scripts/car.py",
            "scripts/correlate_metrics.py",
            "scripts/metrics.py",
            "scripts/rank_statistics.py",
            "scripts/tables.py",
        ],
        performance="<results>/tables/performance.csv",
    output:
        size_steps=report("<results>/tables/size_steps.csv", caption="captions/size_steps.rst", category="Tables"),
    log:
        "<results>/logs/compare_sizes.log",
    benchmark:
        "<results>/timings/compare_sizes.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        teachers=lambda wildcards: json.dumps(
            {name: {key: config["teachers"][name][key] for key in ("family", "parameters")} for name in COMPARED}
        ),
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --teachers {params.teachers:q} \
            --performance {input.performance:q} \
            --output {output.size_steps:q} &>{log:q}
        """


rule draw_conclusions:
    input:
        script="scripts/draw_conclusions.py",
        imports=[
            "scripts/car.py",
            "scripts/correlate_metrics.py",
            "scripts/metrics.py",
            "scripts/rank_statistics.py",
            "scripts/tables.py",
        ],
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
        correlations="<results>/tables/correlations.csv",
        differences="<results>/tables/differences.csv",
    output:
        conclusions=report("<results>/tables/conclusions.csv", caption="captions/conclusions.rst", category="Tables"),
    log:
        "<results>/logs/draw_conclusions.log",
    benchmark:
        "<results>/timings/draw_conclusions.tsv"
    conda:
        "../envs/analysis.yaml"
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --correlations {input.correlations:q} \
            --differences {input.differences:q} \
            --output {output.conclusions:q} &>{log:q}
        """
