"""Every model of the config is looked at before a GPU is touched.

Inputs: the model's folder and chat template, if local. Models that this workflow makes itself are not looked at.
Outputs: <results>/checks/{section}/{name}.json (commit, context length, hash of the chat template), an input of every
job that loads the model; <results>/checks/all.json, which looks at all models in one job and tells all problems at once,
lengths included; <results>/checks/disk.json (room for the checkpoints).
"""

CHECKED = {
    section: outside(section) for section in ("teachers", "bases", "reward_models", "reference_models", "judges")
}
ASKED_BY = {"all": list(CHECKED), "rank": [section for section in CHECKED if section != "judges"]}


rule check_model:
    input:
        model=lambda wildcards: model_inputs(CHECKED[wildcards.section][wildcards.name]),
    output:
        facts="<results>/checks/{section}/{name}.json",
    log:
        "<results>/logs/check_model/{section}/{name}.log",
    benchmark:
        "<results>/timings/check_model/{section}/{name}.tsv"
    wildcard_constraints:
        section="|".join(CHECKED),
        name="[^/]+",
    priority: 50
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.checks.check_models"),
        files=lambda wildcards: model_files(CHECKED[wildcards.section][wildcards.name]),
        # no more than what decides whether the model loads: another length or price must not check it, and run it, again
        models=lambda wildcards: models_as_json(wildcards.section, wildcards.name),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_models --models {params.models:q} --output {output.facts:q} &>{log:q}
        """


rule check_models:
    input:
        models=lambda wildcards: [
            path
            for section in ASKED_BY[wildcards.scope]
            for entry in CHECKED[section].values()
            for path in model_inputs(entry)
        ],
    output:
        facts="<results>/checks/{scope}.json",
    log:
        "<results>/logs/check_models/{scope}.log",
    benchmark:
        "<results>/timings/check_models/{scope}.tsv"
    wildcard_constraints:
        scope=one_of(ASKED_BY),
    priority: 100
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.checks.check_models"),
        files=lambda wildcards: [
            model_files(entry) for section in ASKED_BY[wildcards.scope] for entry in CHECKED[section].values()
        ],
        models=lambda wildcards: json.dumps(
            {
                section: {
                    name: looked_at(entry, "sampling", entry.get("engine")) for name, entry in CHECKED[section].items()
                }
                for section in ASKED_BY[wildcards.scope]
            },
            sort_keys=True,
        ),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_models \
            --models {params.models:q} \
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
        pairs=PAIRS if config["benchmarks"] else [],  # nothing is fine-tuned without
        checkpoints=f"{RESULTS}/checkpoints",
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.checks.check_disk \
            --facts {input.facts:q} \
            --pairs {params.pairs:q} \
            --checkpoints {params.checkpoints:q} \
            --output {output.disk:q} &>{log:q}
        """
