"""Instructions and the prompts of benchmarks, from a local file or a Hugging Face dataset.

Inputs: the file that the config names, if it is a local file.
Outputs: <results>/instructions.parquet (id, instruction, source, reference), <results>/prompts/{benchmark}.parquet with
the same columns and raw_instruction, and for each of them, under <results>/set_aside/, the rows that are not used, with
their reasons. With `compare: unpaired` there is a table <results>/instructions/{teacher}.parquet for each import instead.
"""


rule prepare_instructions:
    input:
        source=lambda wildcards: source_inputs(config["instructions"]),
    output:
        instructions="<results>/instructions.parquet",
        set_aside="<results>/set_aside/instructions.parquet",
    log:
        "<results>/logs/prepare_instructions.log",
    benchmark:
        "<results>/timings/prepare_instructions.tsv"
    conda:
        "../envs/train.yaml"
    params:
        versions=versions_of("scripts.instructions.prepare_instructions"),
        digests=lambda wildcards: digests_of(source_inputs(config["instructions"])),
        spec=lambda wildcards: as_json(config["instructions"]),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.instructions.prepare_instructions \
            --spec {params.spec:q} \
            --output {output.instructions:q} \
            --set-aside {output.set_aside:q} &>{log:q}
        """


use rule prepare_instructions as prepare_own_instructions with:
    input:
        source=lambda wildcards: source_inputs(config["teachers"][wildcards.teacher]["import"]),
    output:
        instructions="<results>/instructions/{teacher}.parquet",
        set_aside="<results>/set_aside/instructions/{teacher}.parquet",
    log:
        "<results>/logs/prepare_own_instructions/{teacher}.log",
    benchmark:
        "<results>/timings/prepare_own_instructions/{teacher}.tsv"
    wildcard_constraints:
        teacher=one_of(teachers_by("import")),
    params:
        digests=lambda wildcards: digests_of(source_inputs(config["teachers"][wildcards.teacher]["import"])),
        spec=lambda wildcards: as_json(
            own_instructions(config["teachers"][wildcards.teacher]["import"], config["instructions"])
        ),


use rule prepare_instructions as prepare_prompts with:
    input:
        source=lambda wildcards: source_inputs(config["benchmarks"][wildcards.benchmark]["prompts"]),
    output:
        instructions="<results>/prompts/{benchmark}.parquet",
        set_aside="<results>/set_aside/prompts/{benchmark}.parquet",
    log:
        "<results>/logs/prepare_prompts/{benchmark}.log",
    benchmark:
        "<results>/timings/prepare_prompts/{benchmark}.tsv"
    params:
        digests=lambda wildcards: digests_of(source_inputs(config["benchmarks"][wildcards.benchmark]["prompts"])),
        spec=lambda wildcards: as_json(config["benchmarks"][wildcards.benchmark]["prompts"] | {"keep_raw": True}),
