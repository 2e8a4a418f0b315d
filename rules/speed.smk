"""How fast each stage is on this machine, and by how much the plain way of doing the same is slower.

Inputs: none; models are made of random weights. Output: results/speed.csv, anew each time it is asked for.
"""


rule speed:
    input:
        script="scripts/measure_speed.py",
        imports=[
            "scripts/car.py",
            "scripts/chat.py",
            "scripts/chunked_head.py",
            "scripts/import_responses.py",
            "scripts/join_metrics.py",
            "scripts/metrics.py",
            "scripts/miniature_models.py",
            "scripts/miniature_tasks.py",
            "scripts/model_folder.py",
            "scripts/model_loading.py",
            "scripts/plan_costs.py",
            "scripts/rank_teachers.py",
            "scripts/rows.py",
            "scripts/score_likelihoods.py",
            "scripts/score_rewards.py",
            "scripts/sft_settings.py",
            "scripts/sources.py",
            "scripts/speed_answers.py",
            "scripts/speed_finetuning.py",
            "scripts/speed_scoring.py",
            "scripts/speed_tables.py",
            "scripts/tables.py",
        ],
    log:
        "results/logs/speed.log",
    conda:
        "../envs/train.yaml"
    threads: 1024  # all there are: nothing else shall run
    resources:
        gpu=1,
        mem_mb=32000,
    params:
        table="results/speed.csv",
    shell:
        """
        exec python scripts/run_job.py --gpus {resources.gpu} {input.script} \
            --output {params.table:q} 2>{log:q}
        """
