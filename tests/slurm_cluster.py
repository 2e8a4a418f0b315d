"""A real Slurm on this machine: two nodes with two simulated GPUs each; the node `n2` is in no partition `cpu`.

Debian's slurm-wlm and munge, started directly as root.
"""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scancel"]
# without accounting, cgroups and systemd, as a container allows
CONFIG = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=300
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=16818 CPUs=8 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=16819 CPUs=8 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes=n1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n1,n2 MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no cluster can be started here; None if it can."""
    absent = [name for name in PROGRAMS if not (shutil.which(name) or Path(f"/usr/sbin/{name}").exists())]
    if absent:
        return f"needs Debian's packages slurm-wlm and munge ({', '.join(absent)} not found)"
    return None if os.getuid() == 0 else "needs root to start Slurm's daemons"


@contextmanager
def cluster(folder: Path):
    """Slurm runs inside the block; its state and logs are in the folder."""
    host = socket.gethostname()
    for name in ("state", "spool.n1", "spool.n2", "dev"):
        (folder / name).mkdir(parents=True)
    for i in range(4):  # Slurm only needs a device file
        subprocess.run(["mknod", "-m", "666", folder / f"dev/nvidia{i}", "c", "1", "3"], check=True)
    etc = Path("/etc/slurm")  # the Snakemake of a job finds the configuration only here
    etc.mkdir(exist_ok=True)
    (etc / "slurm.conf").write_text(CONFIG.format(host=host, folder=folder))
    devices = {"n1": "0-1", "n2": "2-3"}
    lines = [f"NodeName={node} Name=gpu File={folder}/dev/nvidia[{few}]\n" for node, few in devices.items()]
    (etc / "gres.conf").write_text("".join(lines))
    subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge"], check=True)
    daemons = [["runuser", "-u", "munge", "--", "munged", "--force"], ["slurmctld"]]
    daemons += [["slurmd", "-N", node] for node in devices]
    try:
        for daemon in daemons:
            subprocess.run(daemon, check=True, env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"})
        for _ in range(60):
            states = subprocess.run(["sinfo", "-h", "-N", "-p", "gpu", "-o", "%T"], capture_output=True, text=True)
            if states.stdout.split() == ["idle", "idle"]:
                break
            time.sleep(0.5)
        else:
            raise RuntimeError(f"the nodes never became idle: see {folder}/slurmd.n1.log")
        yield
    finally:
        for pid in (*folder.glob("slurmd.*.pid"), folder / "slurmctld.pid", Path("/run/munge/munged.pid")):
            if pid.exists():
                subprocess.run(["kill", pid.read_text().strip()])
