"""Fine-tune each base model on each teacher's responses: one run for each seed.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, the base's folder if it is local, and its
chat template.
Output: <results>/checkpoints/{base}/{teacher}{run}/manifest.json, the last file written into an ordinary model folder;
{run} is empty for the first seed, and @{seed} for another. If the loss became NaN, the manifest says so and there is no
model.
"""

# not a param: a job does not rerun when it changes, since it does not change the weights
os.environ.update(CHECKPOINT_MINUTES=str(config["finetune"]["checkpoint_minutes"]))


rule finetune:
    input:
        check=lambda wildcards: check_of("bases", wildcards.base),
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        instructions=instructions_of(["{teacher}"]),
        responses="<results>/responses/{teacher}.parquet",
    output:
        manifest="<results>/checkpoints/{base}/{teacher}{run}/manifest.json",
    log:
        "<results>/logs/finetune/{base}/{teacher}{run}.log",
    benchmark:
        "<results>/timings/finetune/{base}/{teacher}{run}.tsv"
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["bases"][wildcards.base]["gpus"] and config["bases"][wildcards.base]["processes"],
        # each process loads the weights into main memory before they are moved to its GPU
        mem_mb=lambda wildcards: config["bases"][wildcards.base]["mem_mb"]
        * config["bases"][wildcards.base]["processes"],
        runtime=lambda wildcards: config["bases"][wildcards.base]["runtime"],
    params:
        versions=versions_of("scripts.finetuning.finetune"),
        files=lambda wildcards: model_files(config["bases"][wildcards.base]),
        launch=lambda wildcards: launcher(config["bases"][wildcards.base]["processes"]),
        model=lambda wildcards: as_json({"lora": None} | config["bases"][wildcards.base], *FINETUNE_KEYS),
        hyperparameters=lambda wildcards: hyperparameters_of(wildcards.run),
        scratch=f"{RESULTS}/rows/finetune/{{base}}/{{teacher}}{{run}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} {params.launch} scripts.finetuning.finetune \
            --base {wildcards.base} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --hyperparameters {params.hyperparameters:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --scratch {params.scratch:q} \
            --checkpoint-minutes "$CHECKPOINT_MINUTES" \
            --manifest {output.manifest:q} &>{log:q}
        """
