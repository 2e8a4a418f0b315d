"""Each teacher answers the instructions.

Inputs: <results>/instructions.parquet and the teacher's model folder, if it is a local one.
Output: <results>/responses/{teacher}.parquet (id, candidate, teacher, response, finish_reason, n_tokens, reason).
"""

ENGINE_KEYS = ("engine", "model", "revision", "chat_template")


rule generate_responses:
    input:
        script="scripts/generate_responses.py",
        imports=[
            "scripts/chat.py",
            "scripts/engine_transformers.py",
            "scripts/generation.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
        ],
        model=lambda wildcards: model_inputs(config["teachers"][wildcards.teacher]),
        instructions="<results>/instructions.parquet",
    output:
        responses="<results>/responses/{teacher}.parquet",
    log:
        "<results>/logs/generate_responses/{teacher}.log",
    benchmark:
        "<results>/timings/generate_responses/{teacher}.tsv"
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["teachers"][wildcards.teacher]["gpus"],
    params:
        model=lambda wildcards: as_json(config["teachers"][wildcards.teacher], *ENGINE_KEYS),
        sampling=lambda wildcards: as_json(config["teachers"][wildcards.teacher]["sampling"]),
        store=f"{RESULTS}/rows/responses/{{teacher}}",
    shell:
        """
        exec python {input.script} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --sampling {params.sampling:q} \
            --instructions {input.instructions:q} \
            --store {params.store:q} \
            --output {output.responses:q} &>{log:q}
        """
