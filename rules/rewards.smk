"""The rewards of each teacher's responses by each reward model: computed, imported, or taken from a pool's rewards.

One job per reward model scores all teachers, except those that bring rewards by another reward model.

Inputs: <results>/instructions.parquet, <results>/responses/{teacher}.parquet, and the reward model's folder or the
teacher's table if they are local; for a selection <results>/rewards/{reward_model}/{pool}.parquet.
Output: <results>/rewards/{reward_model}/{teacher}.parquet (id, candidate, teacher, reward_model, reward, reason).
"""


rule score_rewards_apart:
    input:
        model=lambda wildcards: model_inputs(config["reward_models"][wildcards.reward_model]),
        check=lambda wildcards: check_of("reward_models", wildcards.reward_model),
        instructions=instructions_of(["{teacher}"]),
        responses="<results>/responses/{teacher}.parquet",
    output:
        rewards="<results>/rewards/{reward_model}/{teacher}.parquet",
    log:
        "<results>/logs/score_rewards_apart/{reward_model}/{teacher}.log",
    benchmark:
        "<results>/timings/score_rewards_apart/{reward_model}/{teacher}.tsv"
    wildcard_constraints:
        reward_model=only_pairs(SCORED_APART),
    conda:
        lambda wildcards: f"../envs/{config['reward_models'][wildcards.reward_model]['env']}.yaml"
    resources:
        gpu=lambda wildcards: config["reward_models"][wildcards.reward_model]["gpus"]
        * config["reward_models"][wildcards.reward_model]["replicas"],
        mem_mb=lambda wildcards: memory_of(
            config["reward_models"][wildcards.reward_model],
            config["reward_models"][wildcards.reward_model]["replicas"],
        ),
        replicas=lambda wildcards: config["reward_models"][wildcards.reward_model]["replicas"],
        runtime=lambda wildcards: config["reward_models"][wildcards.reward_model]["runtime"],
    params:
        versions=versions_of("scripts.rewards.score_rewards"),
        files=lambda wildcards: model_files(config["reward_models"][wildcards.reward_model]),
        model=lambda wildcards: as_json(config["reward_models"][wildcards.reward_model], *REWARD_MODEL_KEYS),
        teachers="{teacher}",
        store=f"{RESULTS}/rows/rewards/{{reward_model}}",
    shell:
        """
        exec python -m scripts.jobs.run_job --gpus {resources.gpu} --replicas {resources.replicas} \
            scripts.rewards.score_rewards \
            --reward-model {wildcards.reward_model} \
            --teachers {params.teachers} \
            --model {params.model:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --store {params.store:q} \
            --outputs {output.rewards:q} &>{log:q}
        """


if SCORED:

    use rule score_rewards_apart as score_rewards with:
        input:
            model=lambda wildcards: model_inputs(config["reward_models"][wildcards.reward_model]),
            check=lambda wildcards: check_of("reward_models", wildcards.reward_model),
            instructions=instructions_of(SCORED),
            responses=expand("<results>/responses/{teacher}.parquet", teacher=SCORED),
        output:
            rewards=expand("<results>/rewards/{{reward_model}}/{teacher}.parquet", teacher=SCORED),
        log:
            "<results>/logs/score_rewards/{reward_model}.log",
        benchmark:
            "<results>/timings/score_rewards/{reward_model}.tsv"
        wildcard_constraints:
            reward_model=one_of(config["reward_models"]),
        params:
            teachers=SCORED,


rule import_rewards:
    input:
        source=lambda wildcards: source_inputs(config["teachers"][wildcards.teacher]["import"]),
        instructions=instructions_of(["{teacher}"]),
        responses="<results>/responses/{teacher}.parquet",
    output:
        rewards="<results>/rewards/{reward_model}/{teacher}.parquet",
    log:
        "<results>/logs/import_rewards/{reward_model}/{teacher}.log",
    benchmark:
        "<results>/timings/import_rewards/{reward_model}/{teacher}.tsv"
    wildcard_constraints:
        reward_model=only_pairs(IMPORTED_REWARDS),
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.rewards.import_rewards"),
        digests=lambda wildcards: digests_of(source_inputs(config["teachers"][wildcards.teacher]["import"])),
        spec=lambda wildcards: import_spec(wildcards.teacher, wildcards.reward_model),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.rewards.import_rewards \
            --reward-model {wildcards.reward_model} \
            --teacher {wildcards.teacher} \
            --spec {params.spec:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --output {output.rewards:q} &>{log:q}
        """


rule select_rewards:
    input:
        responses="<results>/responses/{teacher}.parquet",
        rewards=lambda wildcards: f"{RESULTS}/rewards/{wildcards.reward_model}/"
        f"{config['teachers'][wildcards.teacher]['pool']}.parquet",
    output:
        rewards="<results>/rewards/{reward_model}/{teacher}.parquet",
    log:
        "<results>/logs/select_rewards/{reward_model}/{teacher}.log",
    benchmark:
        "<results>/timings/select_rewards/{reward_model}/{teacher}.tsv"
    wildcard_constraints:
        teacher=one_of(SELECTED),
    conda:
        "../envs/analysis.yaml"
    params:
        versions=versions_of("scripts.rewards.select_rewards"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.rewards.select_rewards \
            --teacher {wildcards.teacher} \
            --responses {input.responses:q} \
            --rewards {input.rewards:q} \
            --output {output.rewards:q} &>{log:q}
        """
