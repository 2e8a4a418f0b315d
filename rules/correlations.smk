"""How well the metrics predict average performance (AP), which of them differ, and what can be concluded.

Inputs: <results>/tables/teachers.csv, and <results>/scores/{benchmark}/{base}/{teacher}.json.
Outputs: performance.csv, ap_differences.csv, correlations.csv, differences.csv, car.csv, size_steps.csv and conclusions.csv in
<results>/tables/; the docstring of each script explains its columns.
"""

JUDGED_AP = [name for name in AP_BENCHMARKS if name in ANSWERED]  # with values of single prompts, if they are means

TABLES = ["performance", "ap_differences", "correlations", "differences", "car", "size_steps", "conclusions"]


rule average_performance:
    input:
        scores=scores_of(AP_BENCHMARKS),
        # for what several runs of a pair have in common; with one run each, the scores have it all
        judgments=expand("<results>/judgments/{b}/{run}.parquet", b=JUDGED_AP if FURTHER_RUNS else [], run=RUNS),
    output:
        performance=report("<results>/tables/performance.csv", caption="captions/performance.rst", category="Tables"),
    log:
        "<results>/logs/average_performance.log",
    benchmark:
        "<results>/timings/average_performance.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.correlations.average_performance"),
        ap=config["ap"],
        treatments=json.dumps({base: treatment_of(base) for base in BASES}),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.correlations.average_performance \
            --ap {params.ap:q} \
            --treatments {params.treatments:q} \
            --scores {input.scores:q} \
            --judgments {input.judgments:q} \
            --output {output.performance:q} &>{log:q}
        """


rule compare_ap:
    input:
        performance="<results>/tables/performance.csv",
        judgments=expand("<results>/judgments/{b}/{run}.parquet", b=JUDGED_AP, run=RUNS),
    output:
        differences=report(
            "<results>/tables/ap_differences.csv", caption="captions/ap_differences.rst", category="Tables"
        ),
    log:
        "<results>/logs/compare_ap.log",
    benchmark:
        "<results>/timings/compare_ap.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.correlations.compare_ap"),
        ap=config["ap"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.correlations.compare_ap \
            --ap {params.ap:q} \
            --performance {input.performance:q} \
            --judgments {input.judgments:q} \
            --output {output.differences:q} &>{log:q}
        """


rule correlate_metrics:
    input:
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
    output:
        report("<results>/tables/correlations.csv", caption="captions/correlations.rst", category="Tables"),
    log:
        "<results>/logs/correlate_metrics.log",
    benchmark:
        "<results>/timings/correlate_metrics.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.correlations.correlate_metrics"),
        script="scripts.correlations.correlate_metrics",
        beta=[],
    shell:
        """
        exec python -m scripts.jobs.run_job {params.script} {params.beta:q} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --output {output:q} &>{log:q}
        """


use rule correlate_metrics as compare_metrics with:
    output:
        report("<results>/tables/differences.csv", caption="captions/differences.rst", category="Tables"),
    log:
        "<results>/logs/compare_metrics.log",
    benchmark:
        "<results>/timings/compare_metrics.tsv"
    params:
        code=code_of("scripts.correlations.compare_metrics"),
        script="scripts.correlations.compare_metrics",


use rule correlate_metrics as vary_car with:
    output:
        report("<results>/tables/car.csv", caption="captions/car.rst", category="Tables"),
    log:
        "<results>/logs/vary_car.log",
    benchmark:
        "<results>/timings/vary_car.tsv"
    params:
        code=code_of("scripts.correlations.vary_car"),
        script="scripts.correlations.vary_car",
        beta=["--beta", config["car"]["beta"]],


rule compare_sizes:
    input:
        performance="<results>/tables/performance.csv",
        ap_differences="<results>/tables/ap_differences.csv",
    output:
        size_steps=report("<results>/tables/size_steps.csv", caption="captions/size_steps.rst", category="Tables"),
    log:
        "<results>/logs/compare_sizes.log",
    benchmark:
        "<results>/timings/compare_sizes.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.correlations.compare_sizes"),
        teachers=lambda wildcards: json.dumps(
            {name: {key: config["teachers"][name][key] for key in ("family", "parameters")} for name in COMPARED}
        ),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.correlations.compare_sizes \
            --teachers {params.teachers:q} \
            --performance {input.performance:q} \
            --ap-differences {input.ap_differences:q} \
            --output {output.size_steps:q} &>{log:q}
        """


rule draw_conclusions:
    input:
        teachers="<results>/tables/teachers.csv",
        performance="<results>/tables/performance.csv",
        correlations="<results>/tables/correlations.csv",
        differences="<results>/tables/differences.csv",
        ap_differences="<results>/tables/ap_differences.csv",
    output:
        conclusions=report("<results>/tables/conclusions.csv", caption="captions/conclusions.rst", category="Tables"),
    log:
        "<results>/logs/draw_conclusions.log",
    benchmark:
        "<results>/timings/draw_conclusions.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.correlations.draw_conclusions"),
        compare=config["compare"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.correlations.draw_conclusions \
            --compare {params.compare} \
            --teachers {input.teachers:q} \
            --performance {input.performance:q} \
            --correlations {input.correlations:q} \
            --differences {input.differences:q} \
            --ap-differences {input.ap_differences:q} \
            --output {output.conclusions:q} &>{log:q}
        """
