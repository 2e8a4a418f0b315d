"""The responses of each base's first teacher by CAR, as a data set to fine-tune the base on.

Inputs: <results>/tables/teachers.csv, <results>/instructions.parquet, <results>/responses/{teacher}.parquet of every
compared teacher, the base's folder if it is local, and its chat template.
Outputs: <results>/datasets/{base}/ with tokens.parquet (ids and labels), train.parquet (conversations),
chat_template.jinja and its card README.md, written last.
"""

SOURCE_KEYS = ("model", "revision", "engine", "chat_template", "chat_template_kwargs", "sampling", "reasoning")
SOURCE_KEYS += ("import", "select", "pool")


rule write_dataset:
    input:
        model=lambda wildcards: model_inputs(config["bases"][wildcards.base]),
        teachers="<results>/tables/teachers.csv",
        instructions=instructions_of(COMPARED),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=COMPARED),
    output:
        tokens="<results>/datasets/{base}/tokens.parquet",
        train="<results>/datasets/{base}/train.parquet",
        chat_template="<results>/datasets/{base}/chat_template.jinja",
        card="<results>/datasets/{base}/README.md",
    log:
        "<results>/logs/write_dataset/{base}.log",
    benchmark:
        "<results>/timings/write_dataset/{base}.tsv"
    conda:
        "../envs/train.yaml"
    params:
        code=code_of("scripts.datasets.write_dataset"),
        study=config["study"],
        compare=config["compare"],
        files=lambda wildcards: model_files(config["bases"][wildcards.base]),
        model=lambda wildcards: as_json(config["bases"][wildcards.base], *BASE_KEYS),
        max_length=config["finetune"]["max_length"],
        sources=lambda wildcards: json.dumps(
            {
                name: {key: config["teachers"][name][key] for key in SOURCE_KEYS if key in config["teachers"][name]}
                for name in COMPARED
            },
            sort_keys=True,
        ),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.datasets.write_dataset \
            --study {params.study} \
            --compare {params.compare} \
            --base {wildcards.base} \
            --model {params.model:q} \
            --max-length {params.max_length} \
            --sources {params.sources:q} \
            --teachers {input.teachers:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --tokens {output.tokens:q} \
            --train {output.train:q} \
            --template-copy {output.chat_template:q} \
            --card {output.card:q} &>{log:q}
        """
