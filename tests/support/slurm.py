"""A Slurm cluster of this one machine, on loopback, for as long as a `with` block lasts: real daemons, nothing of the system's own.

    with Slurm(directory) as slurm:
        job = slurm.sbatch("--array=1-4", "--wrap", "exit $SLURM_ARRAY_TASK_ID", env=..., cwd=...)
        slurm.ended(job)         # {1: Task("FAILED", 1), 2: Task("FAILED", 2), ...}

The daemons run as root and in the foreground, with ports, a key, sockets and state of their own. Nothing is installed, enabled or left:
they are ended by their process ids, and by the kernel should this process die. slurmd's jobs would outlive both (each has a keeper of
its own, which seeks the controller for an hour), so slurmd is the first process of a PID namespace, and nothing in there survives it.
"""

import collections
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from .registry import die_with_parent, kept_port

Task = collections.namedtuple("Task", "state code")

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_NAMESPACE = ("unshare", "--pid", "--mount-proc", "--kill-child")
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "sinfo", "unshare")
_UNFINISHED = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"}

# The one node runs four tasks at once, however few its CPUs. What was submitted starts without Slurm's wait for more. No accounting, no cgroups.
_CONFIGURATION = """\
ClusterName=tug
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0
MailProg=/bin/true
NodeName=node NodeAddr=127.0.0.1 NodeHostname={host} State=UNKNOWN
PartitionName=all Nodes=node Default=YES State=UP OverSubscribe=FORCE:4
"""


def obstacle():
    """Why there can be no cluster on this machine; "" if there can."""
    missing = [program for program in _PROGRAMS if not shutil.which(program, path=_ENVIRONMENT["PATH"])]
    if missing:
        return f"not installed: {' '.join(missing)} (Debian: slurm-wlm, munge)"
    if os.geteuid() != 0:
        return "the daemons of Slurm need root"
    tried = subprocess.run([*_NAMESPACE, "true"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return f"no PID namespace to be had: {tried.stderr.strip()}" if tried.returncode != 0 else ""


class Slurm:
    def __init__(self, directory):
        self.directory = directory
        self.environment = {"SLURM_CONF": str(directory / "slurm.conf")}
        self._daemons = {}

    # ---- life

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self._stop()

    def _stop(self):
        for name, process in reversed(self._daemons.items()):
            if name == "slurmd":
                _end_namespace(process)
            _end(process)

    def _start(self):
        for name in ("state", "spool"):
            (self.directory / name).mkdir(parents=True)
        key = self.directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # Kept until the daemons listen on them: nobody else is given these ports meanwhile.
        with kept_port() as controller, kept_port() as node:
            (self.directory / "slurm.conf").write_text(_CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0], directory=self.directory,
                controller_port=controller.getsockname()[1], node_port=node.getsockname()[1]))
            # --force: a directory of root's alone is no reason not to run.
            paths = (f"--{name}={self.directory}/munge.{name.partition('-')[0]}" for name in ("socket", "key-file", "pid-file", "seed-file", "log-file"))
            self._daemon("munged", "--foreground", "--force", *paths)
            self._until(lambda: (self.directory / "munge.socket").exists(), "munged listens")
            self._daemon("slurmctld", "-D")
            self._daemon("slurmd", "-D", "-N", "node", within=_NAMESPACE, parent_died=signal.SIGKILL)
            self._until(lambda: self._ask("sinfo", "--noheader", "--format=%T").stdout.strip() == "idle", "the node is idle")

    def _daemon(self, name, *arguments, within=(), parent_died=signal.SIGTERM):
        with open(self.directory / f"{name}.out", "wb") as output:
            self._daemons[name] = subprocess.Popen([*within, name, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory,
                                                   env={**_ENVIRONMENT, **self.environment}, preexec_fn=functools.partial(die_with_parent, parent_died))

    def _until(self, condition, what, timeout=120):
        deadline = time.monotonic() + timeout
        while not condition():
            dead = [name for name, process in self._daemons.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"waited for: {what}; ended: {dead}\n{self}")
            time.sleep(0.05)

    # ---- jobs

    def sbatch(self, *arguments, env, cwd):
        """Submits; the number of the job. The job has `env`, as everybody's has who does not say otherwise."""
        done = subprocess.run(["sbatch", "--parsable", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**env, **self.environment}, cwd=cwd, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{done}\n{self}"
        return int(done.stdout)

    def cancel(self, job):
        done = self._ask("scancel", str(job))
        assert done.returncode == 0, f"{done}\n{self}"

    def ended(self, job):
        """{task of the array: how Slurm saw it end}, when all have."""
        self._until(lambda: not {task.state for task in self._tasks(job).values()} & _UNFINISHED, f"the end of job {job}", timeout=600)
        return self._tasks(job)

    def _tasks(self, job):
        shown = self._ask("scontrol", "--oneliner", "show", "job", str(job)).stdout
        # Those that have not begun are one record: ArrayTaskId=2-4.
        found = re.findall(r"ArrayTaskId=(\S+) .*?JobState=(\S+) .*? ExitCode=(\d+):\d+ ", shown)
        assert found, f"no job {job}: {shown}\n{self}"
        return {int(number) if number.isdigit() else number: Task(state, int(code)) for number, state, code in found}

    def _ask(self, *command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**_ENVIRONMENT, **self.environment}, text=True, timeout=120, check=False)

    def __str__(self):
        """What the daemons said: for the output of a failing test."""
        return "\n".join(f"-- {path.name}\n{path.read_text(errors='replace')}" for path in sorted(self.directory.glob("*.out")))


def _end_namespace(process):
    """It ends with its first process; then unshare(1), which waits for that one and takes no SIGTERM itself, does too."""
    if process.poll() is None:
        for first in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(first), signal.SIGKILL)


def _end(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
