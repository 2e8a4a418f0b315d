"""Judgments of each pair's answers, kept raw, and the scores made from them.

Inputs: <results>/prompts/{benchmark}.parquet, <results>/baselines/{benchmark}.parquet and
<results>/answers/{benchmark}/{base}/{teacher}.parquet.
Outputs: <results>/judgments/{benchmark}/{base}/{teacher}.parquet (id, what was compared, preference, reason) and
<results>/scores/{benchmark}/{base}/{teacher}.json (wr and accuracy with intervals, n, baseline).
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
    conda:
        "../envs/analysis.yaml"
    params:
        baseline=lambda wildcards: config["benchmarks"][wildcards.benchmark]["baseline"],
    shell:
        """
        exec python {input.script} \
            --benchmark {wildcards.benchmark} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --baseline {params.baseline} \
            --judgments {input.judgments:q} \
            --output {output.score:q} &>{log:q}
        """
