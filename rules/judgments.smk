"""The judgments of each pair's answers, by the benchmark's protocol; the raw output of the judge is stored.

One job per benchmark judges all pairs: a local judge is loaded once.

Inputs: <results>/prompts/{benchmark}.parquet, <results>/baselines/{benchmark}.parquet,
<results>/answers/{benchmark}/{base}/{teacher}.parquet, and the judge's model or template, if local.
Output: <results>/judgments/{benchmark}/{base}/{teacher}.parquet (id, the comparison, the judge's output, reason).
"""

EXACT_KEYS = ("recipe", "answer_pattern", "reference_pattern", "ignore_case", "numeric")


rule judge_exact:
    input:
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers=expand("<results>/answers/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    log:
        "<results>/logs/judge_exact/{benchmark}.log",
    benchmark:
        "<results>/timings/judge_exact/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("judge_exact")),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.judgments.judge_exact"),
        spec=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark], *EXACT_KEYS),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.judgments.judge_exact \
            --spec {params.spec:q} \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --answers {input.answers:q} \
            --outputs {output.judgments:q} &>{log:q}
        """


rule judge_reward:
    input:
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers=expand("<results>/answers/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    log:
        "<results>/logs/judge_reward/{benchmark}.log",
    benchmark:
        "<results>/timings/judge_reward/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("judge_reward")),
    conda:
        lambda wildcards: f"../envs/{judge_of(wildcards.benchmark)['env']}.yaml"
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"] * judge_of(wildcards.benchmark)["replicas"],
        mem_mb=lambda wildcards: memory_of(judge_of(wildcards.benchmark), judge_of(wildcards.benchmark)["replicas"]),
        replicas=lambda wildcards: judge_of(wildcards.benchmark)["replicas"],
        runtime=lambda wildcards: judge_of(wildcards.benchmark)["runtime"],
    params:
        versions=versions_of("scripts.judgments.judge_reward"),
        files=lambda wildcards: model_files(judge_of(wildcards.benchmark)),
        judge=lambda wildcards: as_json(judge_of(wildcards.benchmark), *REWARD_MODEL_KEYS),
        pairs=RUNS,
        store=f"{RESULTS}/rows/judgments/{{benchmark}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.judgments.judge_reward \
            --judge {params.judge:q} \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --pairs {params.pairs} \
            --answers {input.answers:q} \
            --store {params.store:q} \
            --outputs {output.judgments:q} &>{log:q}
        """


rule judge_grades:
    input:
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        template=lambda wildcards: judge_template_of(config["benchmarks"][wildcards.benchmark]),
        prompts="<results>/prompts/{benchmark}.parquet",
        answers=expand("<results>/answers/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    log:
        "<results>/logs/judge_grades/{benchmark}.log",
    benchmark:
        "<results>/timings/judge_grades/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("judge_grades")),
    conda:
        lambda wildcards: environment_of(judge_of(wildcards.benchmark)["engine"])
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"] * judge_of(wildcards.benchmark)["replicas"],
        mem_mb=lambda wildcards: memory_of(judge_of(wildcards.benchmark), judge_of(wildcards.benchmark)["replicas"]),
        replicas=lambda wildcards: judge_of(wildcards.benchmark)["replicas"],
        runtime=lambda wildcards: judge_of(wildcards.benchmark)["runtime"],
    params:
        versions=lambda wildcards: versions_of(
            "scripts.judgments.judge_grades", engine_module(judge_of(wildcards.benchmark)["engine"])
        ),
        files=lambda wildcards: model_files(judge_of(wildcards.benchmark)),
        digests=lambda wildcards: digests_of([judge_template_of(config["benchmarks"][wildcards.benchmark])]),
        judge=lambda wildcards: engine_spec(judge_of(wildcards.benchmark)),
        sampling=lambda wildcards: as_json(judge_of(wildcards.benchmark)["sampling"]),
        pairs=RUNS,
        store=f"{RESULTS}/rows/judgments/{{benchmark}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.judgments.judge_grades \
            --judge {params.judge:q} \
            --sampling {params.sampling:q} \
            --template {input.template:q} \
            --api "$API_SETTINGS" \
            --prompts {input.prompts:q} \
            --pairs {params.pairs} \
            --answers {input.answers:q} \
            --store {params.store:q} \
            --outputs {output.judgments:q} &>{log:q}
        """


rule judge_pairs:
    input:
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        template=lambda wildcards: judge_template_of(config["benchmarks"][wildcards.benchmark]),
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers=expand("<results>/answers/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    log:
        "<results>/logs/judge_pairs/{benchmark}.log",
    benchmark:
        "<results>/timings/judge_pairs/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("judge_pairs")),
    conda:
        lambda wildcards: environment_of(judge_of(wildcards.benchmark)["engine"])
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"] * judge_of(wildcards.benchmark)["replicas"],
        mem_mb=lambda wildcards: memory_of(judge_of(wildcards.benchmark), judge_of(wildcards.benchmark)["replicas"]),
        replicas=lambda wildcards: judge_of(wildcards.benchmark)["replicas"],
        runtime=lambda wildcards: judge_of(wildcards.benchmark)["runtime"],
    params:
        versions=lambda wildcards: versions_of(
            "scripts.judgments.judge_pairs", engine_module(judge_of(wildcards.benchmark)["engine"])
        ),
        files=lambda wildcards: model_files(judge_of(wildcards.benchmark)),
        digests=lambda wildcards: digests_of([judge_template_of(config["benchmarks"][wildcards.benchmark])]),
        protocol=lambda wildcards: config["benchmarks"][wildcards.benchmark]["protocol"],
        judge=lambda wildcards: engine_spec(judge_of(wildcards.benchmark)),
        sampling=lambda wildcards: as_json(judge_of(wildcards.benchmark)["sampling"]),
        options=lambda wildcards: strict_option(wildcards.benchmark),
        pairs=RUNS,
        store=f"{RESULTS}/rows/judgments/{{benchmark}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.judgments.judge_pairs \
            --protocol {params.protocol} \
            --judge {params.judge:q} \
            --sampling {params.sampling:q} \
            --template {input.template:q} {params.options:q} \
            --api "$API_SETTINGS" \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --pairs {params.pairs} \
            --answers {input.answers:q} \
            --store {params.store:q} \
            --outputs {output.judgments:q} &>{log:q}
        """
