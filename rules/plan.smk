"""What is left to do of a study and what it will cost; nothing is computed.

Inputs: the configuration and what exists in <results>. Output: none but what is printed.
"""


rule plan:
    log:
        "<results>/logs/plan.log",
    conda:
        "../envs/train.yaml"
    params:
        config=lambda wildcards: json.dumps(config),
        configfile=[str(path) for path in workflow.overwrite_configfiles],
        settings=workflow.config_settings.config_args or [],
    shell:
        """
        exec python -m scripts.jobs.run_job scripts.plan.plan_study \
            --config {params.config:q} \
            --configfile {params.configfile:q} \
            --settings {params.settings:q} 2>{log:q}
        """
