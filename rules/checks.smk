"""Every model of the config is checked before a GPU is used, and `check` also looks at the first rows of every table.

Inputs: the model's folder and chat template, if local. Models that the workflow trains itself are not checked.
Outputs: <results>/checks/{section}/{name}.json (commit, context length, hash of the chat template), an input of every
job that loads the model; <results>/checks/all.json, which checks all models in one job, with their lengths, and reports
all problems at once; <results>/checks/{all,rank}_endpoints.json (what each endpoint answered to a small question);
<results>/checks/disk.json (disk space for checkpoints and responses); <results>/checks/sources.json (the first rows of every
table); <results>/checks/imports.json (whether imports have common instructions).
"""


rule check_model:
    input:
        model=lambda wildcards: model_inputs(CHECKED[wildcards.section][wildcards.name]),
        templates=lambda wildcards: judge_templates_of([CHECKED[wildcards.section][wildcards.name]]),
    output:
        facts="<results>/checks/{section}/{name}.json",
    log:
        "<results>/logs/check_model/{section}/{name}.log",
    benchmark:
        "<results>/timings/check_model/{section}/{name}.tsv"
    wildcard_constraints:
        section=one_of(CHECKED),
        name="[^/]+",
    priority: 50
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.checks.check_models"),
        files=lambda wildcards: model_files(CHECKED[wildcards.section][wildcards.name]),
        models=lambda wildcards: models_as_json(
            {wildcards.section: {wildcards.name: CHECKED[wildcards.section][wildcards.name]}}
        ),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_models --models {params.models:q} --output {output.facts:q} &>{log:q}
        """


rule check_models:
    input:
        models=lambda wildcards: [
            path
            for entries in CHECKED_BY[wildcards.target].values()
            for entry in entries.values()
            for path in model_inputs(entry)
        ],
        templates=lambda wildcards: [
            path for entries in CHECKED_BY[wildcards.target].values() for path in judge_templates_of(entries.values())
        ],
    output:
        facts="<results>/checks/{target}.json",
    log:
        "<results>/logs/check_models/{target}.log",
    benchmark:
        "<results>/timings/check_models/{target}.tsv"
    wildcard_constraints:
        target=one_of(CHECKED_BY),
    priority: 100
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.checks.check_models"),
        files=lambda wildcards: [
            model_files(entry) for entries in CHECKED_BY[wildcards.target].values() for entry in entries.values()
        ],
        models=lambda wildcards: models_as_json(CHECKED_BY[wildcards.target], lengths=True),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_models \
            --models {params.models:q} \
            --output {output.facts:q} &>{log:q}
        """


rule check_endpoints:
    input:
        templates=lambda wildcards: judge_templates_of(ENDPOINTS[wildcards.target].values()),
    output:
        facts="<results>/checks/{target}_endpoints.json",
    log:
        "<results>/logs/check_endpoints/{target}.log",
    benchmark:
        "<results>/timings/check_endpoints/{target}.tsv"
    wildcard_constraints:
        target=one_of(ENDPOINTS),
    priority: 100
    conda:
        "../envs/train.yaml"
    params:
        code=code_of("scripts.checks.check_endpoints"),
        digests=lambda wildcards: digests_of(judge_templates_of(ENDPOINTS[wildcards.target].values())),
        endpoints=lambda wildcards: json.dumps(ENDPOINTS[wildcards.target], sort_keys=True),
        asked=f"{RESULTS}/checks/asked",
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_endpoints \
            --endpoints {params.endpoints:q} \
            --api "$API_SETTINGS" \
            --asked {params.asked:q} \
            --output {output.facts:q} &>{log:q}
        """


rule check_disk:
    input:
        facts="<results>/checks/all.json",
    output:
        disk="<results>/checks/disk.json",
    log:
        "<results>/logs/check_disk.log",
    benchmark:
        "<results>/timings/check_disk.tsv"
    priority: 100
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.checks.check_disk"),
        pairs=RUNS if set(config["benchmarks"]) - set(TABULATED) else [],  # else nothing is fine-tuned
        study=as_json(config, "study", "compare", "instructions", "teachers", "plan"),
        checkpoints=f"{RESULTS}/checkpoints",
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_disk \
            --facts {input.facts:q} \
            --pairs {params.pairs:q} \
            --study {params.study:q} \
            --checkpoints {params.checkpoints:q} \
            --output {output.disk:q} &>{log:q}
        """


rule check_sources:
    input:
        files=lambda wildcards: source_inputs(*SOURCES.values()),
    output:
        facts="<results>/checks/sources.json",
    log:
        "<results>/logs/check_sources.log",
    benchmark:
        "<results>/timings/check_sources.tsv"
    priority: 100
    conda:
        "../envs/train.yaml"
    params:
        code=code_of("scripts.checks.check_sources"),
        digests=lambda wildcards: digests_of(source_inputs(*SOURCES.values())),
        sources=json.dumps(SOURCES, sort_keys=True),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_sources \
            --sources {params.sources:q} \
            --output {output.facts:q} &>{log:q}
        """


rule check_imports:
    input:
        responses=expand("<results>/responses/{teacher}.parquet", teacher=PAIRED_IMPORTS),
    output:
        facts="<results>/checks/imports.json",
    log:
        "<results>/logs/check_imports.log",
    benchmark:
        "<results>/timings/check_imports.tsv"
    priority: 100
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.checks.check_imports"),
        max_set_aside=config["max_set_aside"],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_imports \
            --max-set-aside {params.max_set_aside} \
            --responses {input.responses:q} \
            --output {output.facts:q} &>{log:q}
        """
