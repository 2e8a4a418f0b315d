"""Each reward model scores each teacher's responses.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet and the reward model's folder, if local.
Output: <results>/rewards/{reward_model}/{teacher}.parquet (id, candidate, teacher, reward_model, reward, reason).
"""

REWARD_MODEL_KEYS = ("model", "revision", "chat_template", "batch_tokens")


rule score_rewards:
    input:
        script="scripts/score_rewards.py",
        imports=[
            "scripts/chat.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/rows.py",
        ],
        model=lambda wildcards: model_inputs(config["reward_models"][wildcards.reward_model]),
        instructions="<results>/instructions.parquet",
        responses="<results>/responses/{teacher}.parquet",
    output:
        rewards="<results>/rewards/{reward_model}/{teacher}.parquet",
    log:
        "<results>/logs/score_rewards/{reward_model}/{teacher}.log",
    benchmark:
        "<results>/timings/score_rewards/{reward_model}/{teacher}.tsv"
    conda:
        "../envs/train.yaml"
    resources:
        gpu=lambda wildcards: config["reward_models"][wildcards.reward_model]["gpus"],
    params:
        model=lambda wildcards: as_json(config["reward_models"][wildcards.reward_model], *REWARD_MODEL_KEYS),
        store=f"{RESULTS}/rows/rewards/{{reward_model}}/{{teacher}}",
    shell:
        """
        exec python {input.script} \
            --reward-model {wildcards.reward_model} \
            --teacher {wildcards.teacher} \
            --model {params.model:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --output {output.rewards:q} &>{log:q}
        """
