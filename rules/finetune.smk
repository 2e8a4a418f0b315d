"""Each base model is fine-tuned on each teacher's responses.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder, if local, and its chat
template.
Output: <results>/checkpoints/{base}/{teacher}/manifest.json, written last into an ordinary model folder.
"""

FINETUNE_KEYS = ("model", "revision", "chat_template", "trust_remote_code", "fsdp", "lora")


rule finetune:
    input:
        script="scripts/finetune.py",
        imports=[
            "scripts/chat.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
            "scripts/sft_settings.py",
        ],
        check=lambda wildcards: check_of("bases", wildcards.base),
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
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"] and config["bases"][wildcards.base]["processes"],
    params:
        launch=lambda wildcards: launcher(config["bases"][wildcards.base]["processes"]),
        model=lambda wildcards: as_json({"lora": None} | config["bases"][wildcards.base], *FINETUNE_KEYS),
        hyperparameters=lambda wildcards: as_json(config["finetune"]),
    shell:
        """
        exec {params.launch} {input.script} \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --hyperparameters {params.hyperparameters:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --manifest {output.manifest:q} &>{log:q}
        """
