"""Gradients of each base for the responses of each teacher to sampled instructions, if `gradients` is set: one job per base.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder if it is local and the
chat template that the config names.
Outputs: <results>/gradients/{base}/{teacher}.parquet (id, model, teacher, gradient_norm, projection, reason).
"""


rule score_gradients:
    input:
        check=lambda wildcards: check_of("bases", wildcards.base),
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions=instructions_of(UNMIXED),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=UNMIXED),
    output:
        gradients=expand("<results>/gradients/{{base}}/{teacher}.parquet", teacher=UNMIXED),
    log:
        "<results>/logs/score_gradients/{base}.log",
    benchmark:
        "<results>/timings/score_gradients/{base}.tsv"
    wildcard_constraints:
        base=one_of(BASES),
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"] * config["bases"][wildcards.base]["replicas"],
        mem_mb=lambda wildcards: memory_of(config["bases"][wildcards.base], config["bases"][wildcards.base]["replicas"]),
        replicas=lambda wildcards: config["bases"][wildcards.base]["replicas"],
        runtime=lambda wildcards: config["bases"][wildcards.base]["runtime"],
    params:
        versions=versions_of("scripts.gradients.score_gradients"),
        files=lambda wildcards: model_files(config["bases"][wildcards.base]),
        model=lambda wildcards: as_json(config["bases"][wildcards.base], *BASE_KEYS),
        settings=lambda wildcards: as_json(config["gradients"]),
        teachers=UNMIXED,
        store=f"{RESULTS}/rows/gradients/{{base}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.gradients.score_gradients \
            --name {wildcards.base} \
            --teachers {params.teachers} \
            --model {params.model:q} \
            --settings {params.settings:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --outputs {output.gradients:q} &>{log:q}
        """
