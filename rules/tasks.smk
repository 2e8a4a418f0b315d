"""The model of each training run is evaluated on tasks of lm-evaluation-harness (protocol lm_eval): one job per run.

Input: <results>/checkpoints/{base}/{teacher}{run}, and the files of own tasks.
Outputs: <results>/checks/tasks.json (the tasks exist), <results>/evaluations/{benchmark}/{base}/{teacher}{run}.json with the
numbers of lm_eval and .parquet with what the model was asked and answered, and
<results>/scores/{benchmark}/{base}/{teacher}{run}.json.
"""


rule check_tasks:
    output:
        facts="<results>/checks/tasks.json",
    log:
        "<results>/logs/check_tasks.log",
    benchmark:
        "<results>/timings/check_tasks.tsv"
    priority: 100
    conda:
        "../envs/lm_eval.yaml"
    params:
        code=code_of("scripts.tasks.check_tasks"),
        digests=digests_of([path for name in EVALUATED for path in task_files(name)]),
        benchmarks=json.dumps({name: as_dict(name, "tasks", "include_path") for name in EVALUATED}, sort_keys=True),
        ap=config["ap"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.tasks.check_tasks \
            --benchmarks {params.benchmarks:q} \
            --ap {params.ap:q} \
            --output {output.facts:q} &>{log:q}
        """


rule evaluate_tasks:
    input:
        manifest="<results>/checkpoints/{base}/{teacher}{run}/manifest.json",
    output:
        numbers="<results>/evaluations/{benchmark}/{base}/{teacher}{run}.json",
        samples="<results>/evaluations/{benchmark}/{base}/{teacher}{run}.parquet",
    log:
        "<results>/logs/evaluate_tasks/{benchmark}/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/evaluate_tasks/{benchmark}/{base}/{teacher}{run}.tsv"
    wildcard_constraints:
        benchmark=one_of(EVALUATED),
    conda:
        "../envs/lm_eval.yaml"
    resources:
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"],
        mem_mb=lambda wildcards: memory_of(config["bases"][wildcards.base]),
        runtime=lambda wildcards: config["bases"][wildcards.base]["runtime"],
    params:
        versions=versions_of("scripts.tasks.evaluate_tasks"),
        digests=lambda wildcards: digests_of(task_files(wildcards.benchmark)),
        settings=lambda wildcards: as_json(as_dict(wildcards.benchmark, *TASK_KEYS)),
        model=lambda wildcards: engine_spec(answering_entry(wildcards)),
        store=f"{RESULTS}/rows/evaluations/{{benchmark}}/{{base}}/{{teacher}}{{run}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} scripts.tasks.evaluate_tasks \
            --settings {params.settings:q} \
            --model {params.model:q} \
            --store {params.store:q} \
            --samples {output.samples:q} \
            --output {output.numbers:q} &>{log:q}
        """


rule score_tasks:
    input:
        evaluations=expand("<results>/evaluations/{{benchmark}}/{run}.json", run=RUNS),
    output:
        scores=expand("<results>/scores/{{benchmark}}/{run}.json", run=RUNS),
    log:
        "<results>/logs/score_tasks/{benchmark}.log",
    benchmark:
        "<results>/timings/score_tasks/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(EVALUATED),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.tasks.score_tasks"),
        scale=lambda wildcards: config["benchmarks"][wildcards.benchmark]["scale"],
        pairs=RUNS,
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.tasks.score_tasks \
            --benchmark {wildcards.benchmark} \
            --pairs {params.pairs} \
            --scale {params.scale} \
            --evaluations {input.evaluations:q} \
            --outputs {output.scores:q} &>{log:q}
        """
