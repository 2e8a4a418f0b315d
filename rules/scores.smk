"""Scores of each pair, with intervals and n, made from its judgments on a CPU or read from a table.

Inputs: <results>/judgments/{benchmark}/{base}/{teacher}.parquet and, for length-controlled win rates, the difficulties
and gamed rows of the benchmark; or the table of scores that a benchmark names.
Outputs: <results>/length_control/{benchmark}/ and <results>/scores/{benchmark}/{base}/{teacher}.json.
"""


rule score_judgments:
    input:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        scores=expand("<results>/scores/{{benchmark}}/{run}.json", run=RUNS),
    log:
        "<results>/logs/score_judgments/{benchmark}.log",
    benchmark:
        "<results>/timings/score_judgments/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_judgments")),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.scores.score_judgments"),
        script="scripts.scores.score_judgments",
        baseline=lambda wildcards: baseline_name(wildcards.benchmark),
        judge=lambda wildcards: judge_name(wildcards.benchmark),
        pairs=RUNS,
        options=[],
    shell:
        """
        exec python -m scripts.jobs.run_job {params.script} \
            --benchmark {wildcards.benchmark} \
            --pairs {params.pairs} \
            --baseline {params.baseline:q} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} {params.options:q} \
            --outputs {output.scores:q} &>{log:q}
        """


use rule score_judgments as score_arena_hard with:
    log:
        "<results>/logs/score_arena_hard/{benchmark}.log",
    benchmark:
        "<results>/timings/score_arena_hard/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_arena_hard")),
    params:
        code=code_of("scripts.scores.score_arena_hard"),
        script="scripts.scores.score_arena_hard",
        options=lambda wildcards: [*unparsed_option(wildcards.benchmark), *strict_option(wildcards.benchmark)],


use rule score_judgments as score_arena_hard_v2 with:
    input:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
        answers=expand("<results>/answers/{{benchmark}}/{run}.parquet", run=RUNS),
        baseline="<results>/baselines/{benchmark}.parquet",
    log:
        "<results>/logs/score_arena_hard_v2/{benchmark}.log",
    benchmark:
        "<results>/timings/score_arena_hard_v2/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_arena_hard_v2")),
    params:
        code=code_of("scripts.scores.score_arena_hard_v2"),
        script="scripts.scores.score_arena_hard_v2",
        options=lambda wildcards, input: [
            *unparsed_option(wildcards.benchmark),
            *strict_option(wildcards.benchmark),
            *("--answers", *input.answers, "--baseline-answers", input.baseline),
        ],


use rule score_judgments as score_label with:
    log:
        "<results>/logs/score_label/{benchmark}.log",
    benchmark:
        "<results>/timings/score_label/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_label")),
    params:
        code=code_of("scripts.scores.score_label"),
        script="scripts.scores.score_label",
        options=lambda wildcards: unparsed_option(wildcards.benchmark),


use rule score_judgments as score_alpaca_eval with:
    input:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
        length_control=lambda wildcards: length_control_of(wildcards.benchmark),
    log:
        "<results>/logs/score_alpaca_eval/{benchmark}.log",
    benchmark:
        "<results>/timings/score_alpaca_eval/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_alpaca_eval")),
    params:
        code=code_of("scripts.scores.score_alpaca_eval"),
        script="scripts.scores.score_alpaca_eval",
        options=lambda wildcards, input: [
            *unparsed_option(wildcards.benchmark),
            *(["--length-control", *input.length_control] if input.length_control else []),
        ],


rule score_grade:
    input:
        judgments=expand("<results>/judgments/{{benchmark}}/{run}.parquet", run=RUNS),
    output:
        scores=expand("<results>/scores/{{benchmark}}/{run}.json", run=RUNS),
    log:
        "<results>/logs/score_grade/{benchmark}.log",
    benchmark:
        "<results>/timings/score_grade/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(scored_by("score_grade")),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.scores.score_grade"),
        judge=lambda wildcards: judge_name(wildcards.benchmark),
        pairs=RUNS,
        options=lambda wildcards: unparsed_option(wildcards.benchmark),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.scores.score_grade \
            --benchmark {wildcards.benchmark} \
            --pairs {params.pairs} \
            --judge {params.judge:q} \
            --judgments {input.judgments:q} {params.options:q} \
            --outputs {output.scores:q} &>{log:q}
        """


rule prepare_length_control:
    input:
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
        code=code_of("scripts.scores.prepare_length_control"),
        digests=lambda wildcards: digests_of(length_control_inputs(wildcards.benchmark)),
        prompts=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["prompts"]),
        difficulty=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["length_control"]["difficulty"]),
        gamed=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["length_control"]["gamed"]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.scores.prepare_length_control \
            --prompts-spec {params.prompts:q} \
            --difficulty {params.difficulty:q} \
            --gamed {params.gamed:q} \
            --prompts {input.prompts:q} \
            --output-difficulty {output.difficulty:q} \
            --output-gamed {output.gamed:q} &>{log:q}
        """


rule import_scores:
    input:
        scores=lambda wildcards: config["benchmarks"][wildcards.benchmark]["scores"]["path"],
    output:
        scores=expand("<results>/scores/{{benchmark}}/{run}.json", run=RUNS),
    log:
        "<results>/logs/import_scores/{benchmark}.log",
    benchmark:
        "<results>/timings/import_scores/{benchmark}.tsv"
    wildcard_constraints:
        benchmark=one_of(TABULATED),
    priority: 100  # a gap in the table is found before a GPU is used
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.scores.import_scores"),
        digests=lambda wildcards: digests_of([config["benchmarks"][wildcards.benchmark]["scores"]["path"]]),
        columns=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["scores"]["columns"]),
        pairs=RUNS,
        compared=COMPARED,
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.scores.import_scores \
            --benchmark {wildcards.benchmark} \
            --columns {params.columns:q} \
            --pairs {params.pairs} \
            --compared {params.compared} \
            --scores {input.scores:q} \
            --outputs {output.scores:q} &>{log:q}
        """
