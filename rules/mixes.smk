"""A mix is an additional teacher for one base: for each instruction, the response with the highest CAR for that base.

Inputs, for each teacher in the mix: <results>/responses/{teacher}.parquet, the rewards by CAR's reward model in
<results>/rewards/{reward_model}/{teacher}.parquet and the base's likelihoods in
<results>/likelihoods/{model}/{teacher}.parquet, and its gradients and steps if they are asked for.
Outputs: <results>/responses/{mix}.parquet (with mixed_from), and the rows of the chosen responses in
<results>/rewards/{reward_model}/{mix}.parquet, <results>/likelihoods/{model}/{mix}.parquet and
<results>/{gradients,lalp}/{base}/{mix}.parquet. No model is loaded.
"""


rule mix_responses:
    input:
        responses=lambda wildcards: expand("<results>/responses/{source}.parquet", source=sources_of(wildcards.teacher)),
        rewards=lambda wildcards: expand(
            "<results>/rewards/{reward_model}/{source}.parquet",
            reward_model=config["car"]["reward_model"],
            source=sources_of(wildcards.teacher),
        ),
        likelihoods=lambda wildcards: expand(
            "<results>/likelihoods/{base}/{source}.parquet",
            base=config["teachers"][wildcards.teacher]["base"],
            source=sources_of(wildcards.teacher),
        ),
    output:
        responses="<results>/responses/{teacher}.parquet",
    log:
        "<results>/logs/mix_responses/{teacher}.log",
    benchmark:
        "<results>/timings/mix_responses/{teacher}.tsv"
    wildcard_constraints:
        teacher=one_of(MIXES),
    conda:
        "../envs/analysis.yaml"
    params:
        versions=versions_of("scripts.mixes.mix_responses"),
        beta=config["car"]["beta"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.mixes.mix_responses \
            --teacher {wildcards.teacher} \
            --beta {params.beta} \
            --responses {input.responses:q} \
            --rewards {input.rewards:q} \
            --likelihoods {input.likelihoods:q} \
            --output {output.responses:q} &>{log:q}
        """


rule mix_rewards:
    input:
        responses="<results>/responses/{teacher}.parquet",
        sources=lambda wildcards: expand(
            "<results>/rewards/{reward_model}/{source}.parquet",
            reward_model=wildcards.reward_model,
            source=sources_of(wildcards.teacher),
        ),
    output:
        rewards="<results>/rewards/{reward_model}/{teacher}.parquet",
    log:
        "<results>/logs/mix_rewards/{reward_model}/{teacher}.log",
    benchmark:
        "<results>/timings/mix_rewards/{reward_model}/{teacher}.tsv"
    wildcard_constraints:
        teacher=one_of(MIXES),
    conda:
        "../envs/analysis.yaml"
    params:
        versions=versions_of("scripts.mixes.take_mixed"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.mixes.take_mixed \
            --teacher {wildcards.teacher} \
            --responses {input.responses:q} \
            --sources {input.sources:q} \
            --output {output:q} &>{log:q}
        """


use rule mix_rewards as mix_likelihoods with:
    input:
        responses="<results>/responses/{teacher}.parquet",
        sources=lambda wildcards: expand(
            "<results>/likelihoods/{model}/{source}.parquet",
            model=wildcards.model,
            source=sources_of(wildcards.teacher),
        ),
    output:
        likelihoods="<results>/likelihoods/{model}/{teacher}.parquet",
    log:
        "<results>/logs/mix_likelihoods/{model}/{teacher}.log",
    benchmark:
        "<results>/timings/mix_likelihoods/{model}/{teacher}.tsv"
    wildcard_constraints:
        teacher=one_of(MIXES),
        model=one_of([*config["bases"], *config["reference_models"]]),
    params:
        versions=versions_of("scripts.mixes.take_mixed"),


use rule mix_rewards as mix_sampled_scores with:
    input:
        responses="<results>/responses/{teacher}.parquet",
        sources=lambda wildcards: expand(
            "<results>/{section}/{base}/{source}.parquet",
            section=wildcards.section,
            base=wildcards.base,
            source=sources_of(wildcards.teacher),
        ),
    output:
        scores="<results>/{section}/{base}/{teacher}.parquet",
    log:
        "<results>/logs/mix_sampled_scores/{section}/{base}/{teacher}.log",
    benchmark:
        "<results>/timings/mix_sampled_scores/{section}/{base}/{teacher}.tsv"
    wildcard_constraints:
        section="gradients|lalp",
        teacher=one_of(MIXES),
    params:
        versions=versions_of("scripts.mixes.take_mixed"),
