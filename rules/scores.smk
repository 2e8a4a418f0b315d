"""Scores of each pair, with intervals and n, made from its judgments on a CPU.

Inputs: <results>/judgments/{benchmark}/{base}/{teacher}.parquet and, for length-controlled win rates, the benchmark's
difficulties and gamed rows.
Outputs: <results>/length_control/{benchmark}/ and <results>/scores/{benchmark}/{base}/{teacher}.json.
"""


rule score_judgments:
    input:
        script="scripts/score_judgments.py",
        imports=["scripts/answers.py", "scripts/rows.py", "scripts/tables.py"],
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
        exec python scripts/run_job.py {input.script} \
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
        imports=["scripts/sources.py", "scripts/tables.py"],
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
        exec python scripts/run_job.py {input.script} \
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
            "scripts/answers.py",
            "scripts/length_controlled.py",
            "scripts/pairwise_verdicts.py",
            "scripts/rows.py",
            "scripts/score_judgments.py",
            "scripts/tables.py",
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
        exec python scripts/run_job.py {input.script} \
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
        imports=["scripts/answers.py", "scripts/pairwise_verdicts.py", "scripts/rows.py", "scripts/tables.py"],
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
        exec python scripts/run_job.py {input.script} \
            --benchmark {wildcards.benchmark} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --baseline {params.baseline:q} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} \
            --output {output.score:q} &>{log:q}
        """
