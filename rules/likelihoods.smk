"""The likelihood of each teacher's responses under each base model and each reference model: one job per model.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the model's folder if it is local and, for
a base, the chat template that the config names.
Outputs: <results>/likelihoods/{base}/{teacher}.parquet and <results>/likelihoods/{reference_model}/{teacher}.parquet (id,
model, teacher, sums over tokens, truncated, reason); <results>/lalp/{base}/{teacher}.parquet, if `lalp` is set (id, model,
teacher, n_steps, step_log_prob, reason); <results>/tables/seams.csv (for how many answers ids differ at the seam of prompt
and answer).
"""

UNMIXED = [teacher for teacher in TEACHERS if teacher not in MIXES]


rule score_likelihoods:
    input:
        check=lambda wildcards: check_of("bases", wildcards.base),
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions=instructions_of(UNMIXED),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=UNMIXED),
    output:
        likelihoods=expand("<results>/likelihoods/{{base}}/{teacher}.parquet", teacher=UNMIXED),
    log:
        "<results>/logs/score_likelihoods/{base}.log",
    benchmark:
        "<results>/timings/score_likelihoods/{base}.tsv"
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
        versions=versions_of("scripts.likelihoods.score_likelihoods"),
        files=lambda wildcards: model_files(config["bases"][wildcards.base]),
        name="{base}",
        prompt="chat",
        model=lambda wildcards: as_json(config["bases"][wildcards.base], *BASE_KEYS),
        limits=lambda wildcards: as_json(config["likelihoods"]),
        teachers=UNMIXED,
        store=f"{RESULTS}/rows/likelihoods/{{base}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.likelihoods.score_likelihoods \
            --name {params.name} \
            --prompt {params.prompt} \
            --teachers {params.teachers} \
            --model {params.model:q} \
            --limits {params.limits:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --outputs {output.likelihoods:q} &>{log:q}
        """


use rule score_likelihoods as score_reference_likelihoods with:
    input:
        check=lambda wildcards: check_of("reference_models", wildcards.reference_model),
        model=lambda wildcards: model_inputs(config["reference_models"][wildcards.reference_model]),
        instructions=instructions_of(UNMIXED),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=UNMIXED),
    output:
        likelihoods=expand("<results>/likelihoods/{{reference_model}}/{teacher}.parquet", teacher=UNMIXED),
    log:
        "<results>/logs/score_reference_likelihoods/{reference_model}.log",
    benchmark:
        "<results>/timings/score_reference_likelihoods/{reference_model}.tsv"
    wildcard_constraints:
        reference_model=one_of(config["reference_models"]),
    resources:
        gpu=lambda wildcards: config["reference_models"][wildcards.reference_model]["gpus"]
        * config["reference_models"][wildcards.reference_model]["replicas"],
        mem_mb=lambda wildcards: memory_of(
            config["reference_models"][wildcards.reference_model],
            config["reference_models"][wildcards.reference_model]["replicas"],
        ),
        replicas=lambda wildcards: config["reference_models"][wildcards.reference_model]["replicas"],
        runtime=lambda wildcards: config["reference_models"][wildcards.reference_model]["runtime"],
    params:
        versions=versions_of("scripts.likelihoods.score_likelihoods"),
        files=lambda wildcards: model_files(config["reference_models"][wildcards.reference_model]),
        name="{reference_model}",
        prompt="plain",
        model=lambda wildcards: as_json(config["reference_models"][wildcards.reference_model], *REFERENCE_MODEL_KEYS),
        limits=lambda wildcards: as_json(
            config["likelihoods"] | {"max_length": config["reference_models"][wildcards.reference_model]["max_length"]}
        ),
        teachers=UNMIXED,
        store=f"{RESULTS}/rows/likelihoods/{{reference_model}}",


rule score_lalp:
    input:
        check=lambda wildcards: check_of("bases", wildcards.base),
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions=instructions_of(UNMIXED),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=UNMIXED),
    output:
        lalp=expand("<results>/lalp/{{base}}/{teacher}.parquet", teacher=UNMIXED),
    log:
        "<results>/logs/score_lalp/{base}.log",
    benchmark:
        "<results>/timings/score_lalp/{base}.tsv"
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
        versions=versions_of("scripts.likelihoods.score_lalp"),
        files=lambda wildcards: model_files(config["bases"][wildcards.base]),
        model=lambda wildcards: as_json(config["bases"][wildcards.base], *BASE_KEYS),
        settings=lambda wildcards: as_json(config["lalp"]),
        limits=as_json(config["likelihoods"], "max_length", "batch_tokens"),
        teachers=UNMIXED,
        store=f"{RESULTS}/rows/lalp/{{base}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.likelihoods.score_lalp \
            --name {wildcards.base} \
            --teachers {params.teachers} \
            --model {params.model:q} \
            --settings {params.settings:q} \
            --limits {params.limits:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --outputs {output.lalp:q} &>{log:q}
        """


rule count_seams:
    input:
        check=[path for base in BASES for path in check_of("bases", base)],
        model=[path for base in BASES for path in model_inputs(config["bases"][base])],
        instructions=instructions_of(TEACHERS),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=TEACHERS),
    output:
        seams=report("<results>/tables/seams.csv", caption="captions/seams.rst", category="Tables"),
    log:
        "<results>/logs/count_seams.log",
    benchmark:
        "<results>/timings/count_seams.tsv"
    conda:
        "../envs/train.yaml"
    params:
        code=code_of("scripts.likelihoods.count_seams"),
        files=lambda wildcards: [model_files(config["bases"][base]) for base in BASES],
        bases=lambda wildcards: json.dumps(
            {base: {key: entry[key] for key in BASE_KEYS if key in entry} for base, entry in config["bases"].items()},
            sort_keys=True,
        ),
        pairs=PAIRS,
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.likelihoods.count_seams \
            --bases {params.bases:q} \
            --pairs {params.pairs:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --output {output.seams:q} &>{log:q}
        """
