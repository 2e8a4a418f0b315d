"""Judgments of each pair's answers, kept raw, by each benchmark's protocol.

Inputs: <results>/prompts/{benchmark}.parquet, <results>/baselines/{benchmark}.parquet,
<results>/answers/{benchmark}/{base}/{teacher}.parquet, and the judge's model or template, if local.
Output: <results>/judgments/{benchmark}/{base}/{teacher}.parquet (id, what was compared and said, reason).
"""

EXACT_KEYS = ("answer_pattern", "reference_pattern", "ignore_case", "numeric")


rule judge_exact:
    input:
        script="scripts/judge_exact.py",
        imports=["scripts/answers.py", "scripts/rows.py", "scripts/tables.py"],
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
    log:
        "<results>/logs/judge_exact/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/judge_exact/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("exact")),
    conda:
        "../envs/analysis.yaml"
    params:
        spec=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark], *EXACT_KEYS),
    shell:
        """
        exec python scripts/run_job.py {input.script} \
            --spec {params.spec:q} \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --answers {input.answers:q} \
            --output {output.judgments:q} &>{log:q}
        """


rule judge_reward:
    input:
        script="scripts/judge_reward.py",
        imports=[
            "scripts/answers.py",
            "scripts/chat.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
            "scripts/score_rewards.py",
            "scripts/tables.py",
        ],
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
    log:
        "<results>/logs/judge_reward/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/judge_reward/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("reward")),
    conda:
        lambda wildcards: f"../envs/{judge_of(wildcards.benchmark)['env']}.yaml"
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"],
        mem_mb=lambda wildcards: judge_of(wildcards.benchmark)["mem_mb"],
        runtime=lambda wildcards: judge_of(wildcards.benchmark)["runtime"],
    params:
        judge=lambda wildcards: as_json(judge_of(wildcards.benchmark), *REWARD_MODEL_KEYS),
        store=f"{RESULTS}/rows/judgments/{{benchmark}}/{{base}}/{{teacher}}",
    shell:
        """
        exec python scripts/run_job.py --gpus {resources.gpu} {input.script} \
            --judge {params.judge:q} \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --answers {input.answers:q} \
            --store {params.store:q} \
            --output {output.judgments:q} &>{log:q}
        """


rule judge_pairs:
    input:
        script="scripts/judge_pairs.py",
        imports=lambda wildcards: [
            *ENGINES[judge_of(wildcards.benchmark)["engine"]],
            "scripts/judge_templates.py",
            "scripts/pairwise_verdicts.py",
        ],
        model=lambda wildcards: model_inputs(judge_of(wildcards.benchmark)),
        check=lambda wildcards: check_of("judges", config["benchmarks"][wildcards.benchmark]["judge"]),
        template=lambda wildcards: judge_template_of(wildcards.benchmark),
        prompts="<results>/prompts/{benchmark}.parquet",
        baseline="<results>/baselines/{benchmark}.parquet",
        answers="<results>/answers/{benchmark}/{base}/{teacher}.parquet",
    output:
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
    log:
        "<results>/logs/judge_pairs/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/judge_pairs/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("alpaca_eval", "arena_hard")),
    conda:
        lambda wildcards: environment_of(judge_of(wildcards.benchmark)["engine"])
    resources:
        gpu=lambda wildcards: judge_of(wildcards.benchmark)["gpus"],
        mem_mb=lambda wildcards: judge_of(wildcards.benchmark)["mem_mb"],
        runtime=lambda wildcards: judge_of(wildcards.benchmark)["runtime"],
    params:
        protocol=lambda wildcards: config["benchmarks"][wildcards.benchmark]["protocol"],
        judge=lambda wildcards: engine_spec(judge_of(wildcards.benchmark)),
        sampling=lambda wildcards: as_json(judge_of(wildcards.benchmark)["sampling"]),
        store=f"{RESULTS}/rows/judgments/{{benchmark}}/{{base}}/{{teacher}}",
    shell:
        """
        exec python scripts/run_job.py --gpus {resources.gpu} {input.script} \
            --protocol {params.protocol} \
            --judge {params.judge:q} \
            --sampling {params.sampling:q} \
            --template {input.template:q} \
            --api "$API_SETTINGS" \
            --prompts {input.prompts:q} \
            --baseline {input.baseline:q} \
            --answers {input.answers:q} \
            --store {params.store:q} \
            --output {output.judgments:q} &>{log:q}
        """
