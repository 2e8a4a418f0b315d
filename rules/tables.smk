"""Metrics per row, and the tables: the only place where values are averaged, adjusted by beta and ranked.

Inputs: <results>/likelihoods/{base}/{teacher}.parquet, <results>/rewards/{reward_model}/{teacher}.parquet and
<results>/scores/{benchmark}/{base}/{teacher}.json or, in their place, the config's table of known scores.
Outputs: <results>/diversity/{teacher}.parquet, <results>/metrics/{base}/{teacher}.parquet, and in <results>/tables/:
teachers.csv (metrics and the ranking by CAR) and performance.csv (AP).
"""

UNJUDGED = sorted(name for name, benchmark in config["benchmarks"].items() if not benchmark["protocol"])
JUDGED = sorted(set(config["benchmarks"]) - set(UNJUDGED))
TOLD_OF_TEACHERS = ("family", "compare", "parameters", "published_score")
AP_BENCHMARKS = sorted({name.rpartition(".")[0] for name in config["ap"]})


rule measure_diversity:
    input:
        script="scripts/measure_diversity.py",
        imports=["scripts/tables.py"],
        responses="<results>/responses/{teacher}.parquet",
    output:
        diversity="<results>/diversity/{teacher}.parquet",
    log:
        "<results>/logs/measure_diversity/{teacher}.log",
    benchmark:
        "<results>/timings/measure_diversity/{teacher}.tsv"
    conda:
        "../envs/analysis.yaml"
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --teacher {wildcards.teacher} \
            --responses {input.responses:q} \
            --output {output.diversity:q} &>{log:q}
        """


rule join_metrics:
    input:
        script="scripts/join_metrics.py",
        imports=["scripts/car.py", "scripts/metrics.py", "scripts/tables.py"],
        likelihoods="<results>/likelihoods/{base}/{teacher}.parquet",
        diversity="<results>/diversity/{teacher}.parquet",
        rewards=expand(
            "<results>/rewards/{reward_model}/{{teacher}}.parquet",
            reward_model=sorted(config["reward_models"]),
        ),
        reference_likelihoods=expand(
            "<results>/likelihoods/{reference_model}/{{teacher}}.parquet",
            reference_model=sorted(config["reference_models"]),
        ),
    output:
        metrics="<results>/metrics/{base}/{teacher}.parquet",
    log:
        "<results>/logs/join_metrics/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/join_metrics/{base}/{teacher}.tsv"
    conda:
        "../envs/analysis.yaml"
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --base {wildcards.base} \
            --likelihoods {input.likelihoods:q} \
            --diversity {input.diversity:q} \
            --rewards {input.rewards:q} \
            --reference-likelihoods {input.reference_likelihoods:q} \
            --output {output.metrics:q} &>{log:q}
        """


rule rank_teachers:
    input:
        script="scripts/rank_teachers.py",
        imports=["scripts/car.py", "scripts/metrics.py", "scripts/tables.py"],
        metrics=expand("<results>/metrics/{pair}.parquet", pair=PAIRS),
    output:
        teachers=report("<results>/tables/teachers.csv", caption="captions/teachers.rst", category="Tables"),
    log:
        "<results>/logs/rank_teachers.log",
    benchmark:
        "<results>/timings/rank_teachers.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        car=lambda wildcards: as_json(config["car"]),
        teachers=lambda wildcards: json.dumps(
            {name: {key: config["teachers"][name][key] for key in TOLD_OF_TEACHERS} for name in TEACHERS}
        ),
        families=json.dumps({name: config["bases"][name]["family"] for name in BASES}),
        max_set_aside=config["max_set_aside"],
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --car {params.car:q} \
            --teachers {params.teachers:q} \
            --families {params.families:q} \
            --max-set-aside {params.max_set_aside} \
            --metrics {input.metrics:q} \
            --output {output.teachers:q} &>{log:q}
        """


if "scores" in config:

    rule import_performance:
        input:
            script="scripts/import_performance.py",
            imports=["scripts/tables.py"],
            scores=config["scores"]["path"],
        output:
            performance=report(
                "<results>/tables/performance.csv", caption="captions/performance.rst", category="Tables"
            ),
        log:
            "<results>/logs/import_performance.log",
        benchmark:
            "<results>/timings/import_performance.tsv"
        conda:
            "../envs/analysis.yaml"
        params:
            ap=config["ap"],
            columns=as_json(config["scores"]["columns"]),
            pairs=json.dumps(dict.fromkeys(BASES, COMPARED)),
        shell:
            """
            exec python scripts/run_job.py {input.script} \
                --ap {params.ap:q} \
                --columns {params.columns:q} \
                --pairs {params.pairs:q} \
                --scores {input.scores:q} \
                --output {output.performance:q} &>{log:q}
            """

else:

    rule average_performance:
        input:
            script="scripts/average_performance.py",
            imports=["scripts/tables.py"],
            scores=expand("<results>/scores/{benchmark}/{pair}.json", benchmark=AP_BENCHMARKS, pair=PAIRS),
        output:
            performance=report(
                "<results>/tables/performance.csv", caption="captions/performance.rst", category="Tables"
            ),
        log:
            "<results>/logs/average_performance.log",
        benchmark:
            "<results>/timings/average_performance.tsv"
        conda:
            "../envs/analysis.yaml"
        params:
            ap=config["ap"],
            treatments=json.dumps({name: "lora" if "lora" in config["bases"][name] else "full" for name in BASES}),
        shell:
            """
            exec python scripts/run_job.py {input.script} \
                --ap {params.ap:q} \
                --treatments {params.treatments:q} \
                --scores {input.scores:q} \
                --output {output.performance:q} &>{log:q}
            """
