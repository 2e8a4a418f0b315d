"""The page that shows a study, and the configuration that repeats it.

Inputs: <results>/tables/, <results>/metrics/{base}/{teacher}.parquet, <results>/instructions.parquet and
<results>/responses/{teacher}.parquet.
Outputs: <results>/config.yaml with every default; <results>/ranking.html for a ranking, <results>/report.html for a study.
"""

PAGE, STYLE = "scripts/report/report.html.jinja", "scripts/report/report.css"
MACROS = "scripts/report/macros.html.jinja"
RANKING_TABLES = ["teachers", "stability", "sample_size", "sensitivity", "scores", "seams", "response_costs"]


rule save_config:
    output:
        config="<results>/config.yaml",
    log:
        "<results>/logs/save_config.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.configuration.save_config"),
        config=lambda wildcards: json.dumps(config, sort_keys=True),
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.configuration.save_config \
            --config {params.config:q} \
            --output {output.config:q} &>{log:q}
        """


rule write_ranking:
    input:
        template=PAGE,
        style=STYLE,
        macros=MACROS,
        config=rules.save_config.output.config,
        tables=expand("<results>/tables/{table}.csv", table=RANKING_TABLES),
        metrics=expand("<results>/metrics/{pair}.parquet", pair=PAIRS),
        instructions=instructions_of(COMPARED),
        set_aside=instructions_of(TEACHERS, folder="<results>/set_aside"),
        responses=expand("<results>/responses/{teacher}.parquet", teacher=COMPARED),
    output:
        report=report("<results>/ranking.html", caption="captions/ranking.rst", category="Report"),
    log:
        "<results>/logs/write_ranking.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_of("scripts.report.write_report"),
        digests=lambda wildcards: digests_of([PAGE, STYLE, MACROS]),
        study=config["study"],
        spent=f"{RESULTS}/spent_usd.txt",
        timings=f"{RESULTS}/timings",
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.report.write_report \
            --study {params.study} \
            --config {input.config:q} \
            --tables {input.tables:q} \
            --metrics {input.metrics:q} \
            --instructions {input.instructions:q} \
            --responses {input.responses:q} \
            --set-aside {input.set_aside:q} \
            --spent {params.spent:q} \
            --timings {params.timings:q} \
            --output {output.report:q} &>{log:q}
        """


use rule write_ranking as write_report with:
    input:
        **{name: value for name, value in rules.write_ranking.input.items() if name != "tables"},
        tables=expand("<results>/tables/{table}.csv", table=[*RANKING_TABLES, *TABLES]),
    output:
        report=report("<results>/report.html", caption="captions/report.rst", category="Report"),
    log:
        "<results>/logs/write_report.log",
