"""Metrics of each row, their means for each teacher, and the ranking of teachers by CAR.

Inputs: <results>/responses/{teacher}.parquet, <results>/likelihoods/{base}/{teacher}.parquet,
<results>/rewards/{reward_model}/{teacher}.parquet and, if they are asked for, <results>/gradients/{base}/{teacher}.parquet
and <results>/lalp/{base}/{teacher}.parquet.
Outputs: <results>/diversity/{teacher}.parquet, <results>/metrics/{base}/{teacher}.parquet, and in <results>/tables/:
teachers.csv (metrics and the ranking by CAR), stability.csv and sample_size.csv (how certain the ranking is),
sensitivity.csv (the first teacher with other betas, reward models and transforms), scores.csv (the first teacher by
each score, and how far scores agree) and response_costs.csv.
"""

PRICED_KEYS = ("model", "engine", "parameters")
TEACHER_KEYS = ("family", "compare", "parameters", "published_score")


rule measure_diversity:
    input:
        responses=expand("<results>/responses/{teacher}.parquet", teacher=TEACHERS),
    output:
        diversity=expand("<results>/diversity/{teacher}.parquet", teacher=TEACHERS),
    log:
        "<results>/logs/measure_diversity.log",
    benchmark:
        "<results>/timings/measure_diversity.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.measure_diversity"),
        teachers=TEACHERS,
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.measure_diversity \
            --teachers {params.teachers} \
            --responses {input.responses:q} \
            --outputs {output.diversity:q} &>{log:q}
        """


rule join_metrics:
    input:
        likelihoods=expand("<results>/likelihoods/{{base}}/{teacher}.parquet", teacher=UNMIXED),
        diversity=expand("<results>/diversity/{teacher}.parquet", teacher=UNMIXED),
        rewards=expand(
            "<results>/rewards/{reward_model}/{teacher}.parquet",
            reward_model=sorted(config["reward_models"]),
            teacher=UNMIXED,
        ),
        reference_likelihoods=expand(
            "<results>/likelihoods/{reference_model}/{teacher}.parquet",
            reference_model=sorted(config["reference_models"]),
            teacher=UNMIXED,
        ),
    output:
        metrics=expand("<results>/metrics/{{base}}/{teacher}.parquet", teacher=UNMIXED),
    log:
        "<results>/logs/join_metrics/{base}.log",
    benchmark:
        "<results>/timings/join_metrics/{base}.tsv"
    wildcard_constraints:
        base=one_of(BASES),
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.join_metrics"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.join_metrics \
            --base {wildcards.base} \
            --likelihoods {input.likelihoods:q} \
            --diversity {input.diversity:q} \
            --rewards {input.rewards:q} \
            --reference-likelihoods {input.reference_likelihoods:q} \
            --outputs {output.metrics:q} &>{log:q}
        """


use rule join_metrics as join_metrics_of_mix with:
    input:
        likelihoods="<results>/likelihoods/{base}/{mix}.parquet",
        diversity="<results>/diversity/{mix}.parquet",
        rewards=expand("<results>/rewards/{reward_model}/{{mix}}.parquet", reward_model=sorted(config["reward_models"])),
        reference_likelihoods=expand(
            "<results>/likelihoods/{reference_model}/{{mix}}.parquet",
            reference_model=sorted(config["reference_models"]),
        ),
    output:
        metrics="<results>/metrics/{base}/{mix}.parquet",
    log:
        "<results>/logs/join_metrics_of_mix/{base}/{mix}.log",
    benchmark:
        "<results>/timings/join_metrics_of_mix/{base}/{mix}.tsv"
    wildcard_constraints:
        mix=one_of(MIXES),


rule rank_teachers:
    input:
        metrics=expand("<results>/metrics/{pair}.parquet", pair=PAIRS),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=TEACHERS),
        gradients=sampled("gradients"),
        lalp=sampled("lalp"),
    output:
        teachers=report("<results>/tables/teachers.csv", caption="captions/teachers.rst", category="Tables"),
    log:
        "<results>/logs/rank_teachers.log",
    benchmark:
        "<results>/timings/rank_teachers.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.rank_teachers"),
        car=lambda wildcards: as_json(config["car"]),
        teachers=lambda wildcards: json.dumps(
            {name: {key: config["teachers"][name][key] for key in TEACHER_KEYS} for name in TEACHERS}
        ),
        families=json.dumps({name: config["bases"][name]["family"] for name in BASES}),
        compare=config["compare"],
        max_set_aside=config["max_set_aside"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.rank_teachers \
            --car {params.car:q} \
            --teachers {params.teachers:q} \
            --families {params.families:q} \
            --compare {params.compare} \
            --max-set-aside {params.max_set_aside} \
            --metrics {input.metrics:q} \
            --responses {input.responses:q} \
            --gradients {input.gradients:q} \
            --lalp {input.lalp:q} \
            --output {output.teachers:q} &>{log:q}
        """


rule assess_ranking:
    input:
        metrics=expand("<results>/metrics/{base}/{teacher}.parquet", base=BASES, teacher=COMPARED),
        sensitivity="<results>/tables/sensitivity.csv",
    output:
        stability=report("<results>/tables/stability.csv", caption="captions/stability.rst", category="Tables"),
        sample_size=report("<results>/tables/sample_size.csv", caption="captions/sample_size.rst", category="Tables"),
    log:
        "<results>/logs/assess_ranking.log",
    benchmark:
        "<results>/timings/assess_ranking.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.assess_ranking"),
        car=as_json(config["car"]),
        compared=COMPARED,
        compare=config["compare"],
        p_highest=config["ranking"]["p_highest"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.assess_ranking \
            --car {params.car:q} \
            --compared {params.compared:q} \
            --compare {params.compare} \
            --p-highest {params.p_highest} \
            --metrics {input.metrics:q} \
            --sensitivity {input.sensitivity:q} \
            --output-stability {output.stability:q} \
            --output-sample-size {output.sample_size:q} &>{log:q}
        """


rule vary_ranking:
    input:
        teachers="<results>/tables/teachers.csv",
    output:
        sensitivity=report("<results>/tables/sensitivity.csv", caption="captions/sensitivity.rst", category="Tables"),
    log:
        "<results>/logs/vary_ranking.log",
    benchmark:
        "<results>/timings/vary_ranking.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.vary_ranking"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.vary_ranking \
            --teachers {input.teachers:q} \
            --output {output.sensitivity:q} &>{log:q}
        """


GENERATED = sorted({name for teacher in TEACHERS for name in paid_for(teacher)} & {*teachers_by("model")})
PRICED = sorted({config["teachers"][name]["model"] for name in GENERATED} & {*config["api"]["prices"]})


rule count_costs:
    input:
        instructions=instructions_of(TEACHERS),
        source=lambda wildcards: source_inputs(config["instructions"]),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=GENERATED),
    output:
        costs=report("<results>/tables/response_costs.csv", caption="captions/response_costs.rst", category="Tables"),
    log:
        "<results>/logs/count_costs.log",
    benchmark:
        "<results>/timings/count_costs.tsv"
    conda:
        "../envs/train.yaml"
    params:
        code=code_of("scripts.ranking.count_costs"),
        digests=lambda wildcards: digests_of(source_inputs(config["instructions"])),
        paid=json.dumps({teacher: paid_for(teacher) for teacher in TEACHERS}),
        models=json.dumps(
            {
                name: {key: config["teachers"][name][key] for key in PRICED_KEYS}
                | {"gpus": min(config["teachers"][name]["gpus"], 1)}  # only whether it has any
                | ({"openai": {"batch": True}} if is_batched(config["teachers"][name]) else {})
                for name in GENERATED
            }
        ),
        prices=json.dumps({model: config["api"]["prices"][model] for model in PRICED}),
        source=as_json(config["instructions"]),
        plan=config["plan"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.count_costs \
            --paid {params.paid:q} \
            --models {params.models:q} \
            --prices {params.prices:q} \
            --gpu {params.plan[gpu]} \
            --source {params.source:q} \
            --all-instructions {params.plan[instructions]} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --output {output.costs:q} &>{log:q}
        """


rule compare_scores:
    input:
        teachers="<results>/tables/teachers.csv",
    output:
        scores=report("<results>/tables/scores.csv", caption="captions/scores.rst", category="Tables"),
    log:
        "<results>/logs/compare_scores.log",
    benchmark:
        "<results>/timings/compare_scores.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.ranking.compare_scores"),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.ranking.compare_scores \
            --teachers {input.teachers:q} \
            --output {output.scores:q} &>{log:q}
        """
