"""The baseline teacher and every fine-tuned model answer the prompts of each benchmark: one job per training run.

The answers of a baseline can also be imported from a table.

Inputs: <results>/prompts/{benchmark}.parquet, and the teacher's model or <results>/checkpoints/{base}/{teacher}{run}.
Outputs: <results>/baselines/{benchmark}.parquet and <results>/answers/{benchmark}/{base}/{teacher}{run}.parquet (id,
benchmark, base, teacher with the run, answer, finish_reason, n_tokens, reason; for prompts of several turns a row per
turn).
"""


rule answer_as_baseline:
    input:
        check=lambda wildcards: check_of("teachers", config["benchmarks"][wildcards.benchmark]["baseline"]),
        model=lambda wildcards: model_inputs(baseline_of(wildcards.benchmark)),
        prompts="<results>/prompts/{benchmark}.parquet",
    output:
        answers="<results>/baselines/{benchmark}.parquet",
    log:
        "<results>/logs/answer_as_baseline/{benchmark}.log",
    benchmark:
        "<results>/timings/answer_as_baseline/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(name for name, entry in config["benchmarks"].items() if "baseline" in entry),
    conda:
        lambda wildcards: environment_of(answering_entry(wildcards)["engine"])
    resources:
        gpu=lambda wildcards: answering_entry(wildcards)["gpus"],
        mem_mb=lambda wildcards: memory_of(answering_entry(wildcards)),
        runtime=lambda wildcards: answering_entry(wildcards)["runtime"],
    params:
        versions=lambda wildcards: versions_of(
            "scripts.answers.answer_benchmark", engine_module(answering_entry(wildcards)["engine"])
        ),
        files=lambda wildcards: model_files(baseline_of(wildcards.benchmark)),
        names=lambda wildcards: f"--teacher {config['benchmarks'][wildcards.benchmark]['baseline']}",
        model=lambda wildcards: engine_spec(answering_entry(wildcards)),
        benchmarks="{benchmark}",
        samplings=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["sampling"]),
        stores=f"{RESULTS}/rows/baselines/{{benchmark}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} scripts.answers.answer_benchmark \
            --benchmarks {params.benchmarks} \
            {params.names} \
            --model {params.model:q} \
            --samplings {params.samplings:q} \
            --api "$API_SETTINGS" \
            --prompts {input.prompts:q} \
            --stores {params.stores:q} \
            --outputs {output.answers:q} &>{log:q}
        """


if ANSWERED:

    use rule answer_as_baseline as answer_benchmark with:
        input:
            manifest="<results>/checkpoints/{base}/{teacher}{run}/manifest.json",
            prompts=expand("<results>/prompts/{benchmark}.parquet", benchmark=ANSWERED),
        output:
            answers=expand("<results>/answers/{benchmark}/{{base}}/{{teacher}}{{run}}.parquet", benchmark=ANSWERED),
        log:
            "<results>/logs/answer_benchmark/{base}/{teacher}{run}.log",
        benchmark:
            "<results>/timings/answer_benchmark/{base}/{teacher}{run}.tsv"
        params:
            files=None,  # the manifest has those of the checkpoint
            names="--base {base} --teacher {teacher}{run}",
            benchmarks=ANSWERED,
            samplings=[as_json(config["benchmarks"][name]["sampling"]) for name in ANSWERED],
            stores=[f"{RESULTS}/rows/answers/{name}/{{base}}/{{teacher}}{{run}}" for name in ANSWERED],


rule import_baseline:
    input:
        source=lambda wildcards: source_inputs(config["benchmarks"][wildcards.benchmark]["baseline_answers"]),
        prompts="<results>/prompts/{benchmark}.parquet",
    output:
        answers="<results>/baselines/{benchmark}.parquet",
    log:
        "<results>/logs/import_baseline/{benchmark}.log",
    benchmark:
        "<results>/timings/import_baseline/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(name for name, entry in config["benchmarks"].items() if "baseline_answers" in entry),
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.answers.import_baseline"),
        digests=lambda wildcards: digests_of(
            source_inputs(config["benchmarks"][wildcards.benchmark]["baseline_answers"])
        ),
        spec=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["baseline_answers"]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.answers.import_baseline \
            --benchmark {wildcards.benchmark} \
            --spec {params.spec:q} \
            --prompts {input.prompts:q} \
            --output {output.answers:q} &>{log:q}
        """
