"""A mix is a further teacher of one base: per instruction, the response of several teachers' that suits the base best.

Inputs: of each source <results>/responses/{teacher}.parquet, <results>/rewards/{reward_model}/{teacher}.parquet and
<results>/likelihoods/{model}/{teacher}.parquet. By CAR's reward model and the base the responses are chosen.
Outputs: <results>/responses/{mix}.parquet (with mixed_from), <results>/rewards/{reward_model}/{mix}.parquet and
<results>/likelihoods/{model}/{mix}.parquet, taken from the sources'. No model is loaded.
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
        code=code_of("scripts.mixes.mix_responses"),
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
        code=code_of("scripts.mixes.take_mixed"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.mixes.take_mixed \
            --teacher {wildcards.teacher} \
            --responses {input.responses:q} \
            --sources {input.sources:q} \
            --output {output.rewards:q} &>{log:q}
        """


rule mix_likelihoods:
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
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.mixes.take_mixed"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.mixes.take_mixed \
            --teacher {wildcards.teacher} \
            --responses {input.responses:q} \
            --sources {input.sources:q} \
            --output {output.likelihoods:q} &>{log:q}
        """
