"""How likely each base model finds each teacher's responses.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder, if local, and the chat
template that the config names for it.
Output: <results>/likelihoods/{base}/{teacher}.parquet (id, base, teacher, sums over tokens, reason).
"""


rule score_likelihoods:
    input:
        script="scripts/score_likelihoods.py",
        imports=[
            "scripts/chat.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
        ],
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions="<results>/instructions.parquet",
        responses="<results>/responses/{teacher}.parquet",
    output:
        likelihoods="<results>/likelihoods/{base}/{teacher}.parquet",
    log:
        "<results>/logs/score_likelihoods/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/score_likelihoods/{base}/{teacher}.tsv"
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"],
    params:
        model=lambda wildcards: as_json(config["bases"][wildcards.base], "model", "revision", "chat_template"),
        limits=lambda wildcards: as_json(config["likelihoods"]),
        store=f"{RESULTS}/rows/likelihoods/{{base}}/{{teacher}}",
    shell:
        """
        exec python {input.script} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --limits {params.limits:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --output {output.likelihoods:q} &>{log:q}
        """
