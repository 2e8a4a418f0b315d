"""Judgments of each pair's answers, kept raw, and the scores made from them, by each benchmark's protocol.

Inputs: <results>/prompts/{benchmark}.parquet, <results>/baselines/{benchmark}.parquet,
<results>/answers/{benchmark}/{base}/{teacher}.parquet, and the judge's model or template, if local.
Outputs: <results>/judgments/{benchmark}/{base}/{teacher}.parquet (id, what was compared and said, reason),
<results>/length_control/{benchmark}/ and <results>/scores/{benchmark}/{base}/{teacher}.json (scores with intervals, n).
"""

EXACT_KEYS = ("answer_pattern", "reference_pattern", "ignore_case")


rule judge_exact:
    input:
        script="scripts/judge_exact.py",
        imports=["scripts/rows.py"],
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
        exec python {input.script} \
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
            "scripts/chat.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
            "scripts/score_rewards.py",
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
    params:
        judge=lambda wildcards: as_json(judge_of(wildcards.benchmark), *REWARD_MODEL_KEYS),
        store=f"{RESULTS}/rows/judgments/{{benchmark}}/{{base}}/{{teacher}}",
    shell:
        """
        exec python {input.script} \
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
    params:
        protocol=lambda wildcards: config["benchmarks"][wildcards.benchmark]["protocol"],
        judge=lambda wildcards: engine_spec(judge_of(wildcards.benchmark)),
        sampling=lambda wildcards: as_json(judge_of(wildcards.benchmark)["sampling"]),
        store=f"{RESULTS}/rows/judgments/{{benchmark}}/{{base}}/{{teacher}}",
    shell:
        """
        exec python {input.script} \
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


rule score_judgments:
    input:
        script="scripts/score_judgments.py",
        imports=["scripts/rows.py"],
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
    output:
        score="<results>/scores/{benchmark}/{base}/{teacher}.json",
    log:
        "<results>/logs/score_judgments/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/score_judgments/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("exact", "reward")),
    conda:
        "../envs/analysis.yaml"
    params:
        baseline=lambda wildcards: baseline_name(wildcards.benchmark),
        judge=lambda wildcards: judge_name(wildcards.benchmark),
    shell:
        """
        exec python {input.script} \
            --benchmark {wildcards.benchmark} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --baseline {params.baseline:q} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} \
            --output {output.score:q} &>{log:q}
        """


rule prepare_length_control:
    input:
        script="scripts/prepare_length_control.py",
        imports=["scripts/rows.py", "scripts/sources.py"],
        sources=lambda wildcards: length_control_inputs(wildcards.benchmark),
        prompts="<results>/prompts/{benchmark}.parquet",
    output:
        difficulty="<results>/length_control/{benchmark}/difficulty.parquet",
        gamed="<results>/length_control/{benchmark}/gamed.parquet",
    log:
        "<results>/logs/prepare_length_control/{benchmark}.log",
    benchmark:
        "<results>/timings/prepare_length_control/{benchmark}.tsv"
    conda:
        "../envs/train.yaml"
    params:
        prompts=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["prompts"]),
        difficulty=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["length_control"]["difficulty"]),
        gamed=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["length_control"]["gamed"]),
    shell:
        """
        exec python {input.script} \
            --prompts-spec {params.prompts:q} \
            --difficulty {params.difficulty:q} \
            --gamed {params.gamed:q} \
            --prompts {input.prompts:q} \
            --output-difficulty {output.difficulty:q} \
            --output-gamed {output.gamed:q} &>{log:q}
        """


rule score_alpaca_eval:
    input:
        script="scripts/score_alpaca_eval.py",
        imports=[
            "scripts/length_controlled.py",
            "scripts/pairwise_verdicts.py",
            "scripts/rows.py",
            "scripts/score_judgments.py",
        ],
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
        length_control=lambda wildcards: length_control_of(wildcards.benchmark),
    output:
        score="<results>/scores/{benchmark}/{base}/{teacher}.json",
    log:
        "<results>/logs/score_alpaca_eval/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/score_alpaca_eval/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("alpaca_eval")),
    conda:
        "../envs/analysis.yaml"
    params:
        baseline=lambda wildcards: baseline_name(wildcards.benchmark),
        judge=lambda wildcards: judge_name(wildcards.benchmark),
        length_control=lambda wildcards, input: (
            ["--length-control", *input.length_control] if input.length_control else []
        ),
    shell:
        """
        exec python {input.script} \
            --benchmark {wildcards.benchmark} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --baseline {params.baseline:q} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} {params.length_control:q} \
            --output {output.score:q} &>{log:q}
        """


rule score_arena_hard:
    input:
        script="scripts/score_arena_hard.py",
        imports=["scripts/pairwise_verdicts.py", "scripts/rows.py"],
        judgments="<results>/judgments/{benchmark}/{base}/{teacher}.parquet",
    output:
        score="<results>/scores/{benchmark}/{base}/{teacher}.json",
    log:
        "<results>/logs/score_arena_hard/{benchmark}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/score_arena_hard/{benchmark}/{base}/{teacher}.tsv"
    wildcard_constraints:
        benchmark=one_of(judged_by("arena_hard")),
    conda:
        "../envs/analysis.yaml"
    params:
        baseline=lambda wildcards: baseline_name(wildcards.benchmark),
        judge=lambda wildcards: judge_name(wildcards.benchmark),
    shell:
        """
        exec python {input.script} \
            --benchmark {wildcards.benchmark} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --baseline {params.baseline:q} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} \
            --output {output.score:q} &>{log:q}
        """
