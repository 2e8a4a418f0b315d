"""Each base model is fine-tuned on each teacher's responses.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder, if local, and its chat
template.
Output: <results>/checkpoints/{base}/{teacher}/manifest.json, written last into an ordinary model folder.
"""


rule finetune:
    input:
        script="scripts/finetune.py",
        imports=["scripts/chat.py", "scripts/model_folder.py", "scripts/rows.py"],
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions="<results>/instructions.parquet",
        responses="<results>/responses/{teacher}.parquet",
    output:
        manifest="<results>/checkpoints/{base}/{teacher}/manifest.json",
    log:
        "<results>/logs/finetune/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/finetune/{base}/{teacher}.tsv"
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"],
    params:
        model=lambda wildcards: as_json(config["bases"][wildcards.base], "model", "revision", "chat_template"),
        hyperparameters=lambda wildcards: as_json(config["finetune"]),
    shell:
        """
        exec python {input.script} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --hyperparameters {params.hyperparameters:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --manifest {output.manifest:q} &>{log:q}
        """
