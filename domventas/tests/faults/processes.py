"""Celery workers, beats and a web server as children that die with the test, to be killed in every way."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: What makes hours into seconds; nothing else differs from production.
PROFILE = {
    "JOB_VISIBILITY": 3, "JOB_RESTORE_INTERVAL": 1, "JOB_MUTEX_EXPIRE": 2, "JOB_HEALTH_CHECK": 2,
    "JOB_SWEEP_EVERY": 0.5,
    "JOB_RESEND_AFTER": 3, "JOB_DEAD_AFTER": 0.5, "JOB_OVERDUE_GRACE": 1, "JOB_RELAY_EVERY": 0.05, "JOB_BEAT_LOOP": 0.5,
    "JOB_WAIT_FULL": 1, "JOB_SHUTDOWN_AFTER": 2,
}  # fmt: skip
APP = "domventas.tests.faults.app"
MOST_RESTARTS = 20
Child = subprocess.Popen[bytes]


class Processes:
    """Remembers every child it started, so that none outlives the test."""

    def __init__(self, log: Path) -> None:
        self.log, self.chance = log, random.Random(7)
        self.workers: list[Child] = []
        self.beats: list[Child] = []
        self.others: list[Child] = []
        self.supervised = False  # True = as under systemd: a worker that ends by itself comes back
        self.restarts = 0

    def worker(self, concurrency: int = 2, **env: str) -> Child:
        """One more worker, on every queue."""
        command = ["-c", str(concurrency), "--without-gossip", "--without-mingle", "--without-heartbeat"]
        child = self._celery("worker", "-Q", "realtime,sync,push,reports,bulk", *command, **env)
        self.workers.append(child)
        return child

    def beat(self, **env: str) -> Child:
        """One more beat."""
        child = self._celery("beat", "--pidfile=", **env)
        self.beats.append(child)
        return child

    def web(self, port: int) -> Child:
        """The web server as in production."""
        command = [
            "-m",
            "gunicorn",
            "domventas.wsgi",
            "--threads",
            "2",
            "--bind",
            f"127.0.0.1:{port}",
            "--log-level",
            "error",
        ]
        child = self._python(*command)
        self.others.append(child)
        return child

    def kept(self) -> list[Child]:
        """Those that nobody has ended on purpose."""
        return [*self.workers, *self.beats, *self.others]

    def ended(self) -> list[object]:
        """Those that ended by themselves; supervised workers are replaced, and counted, as systemd would."""
        for child in [child for child in self.workers if child.poll() is not None]:
            if self.supervised and self.restarts < MOST_RESTARTS:
                self.kill(child, "group")
                self.worker()
                self.restarts += 1
        return [child.args for child in self.kept() if child.poll() is not None]

    def have(self, *, workers: int = 0, beats: int = 0) -> None:
        """So many that live; those of the test before are used again."""
        self.restarts = 0
        self.workers = [child for child in self.workers if child.poll() is None]
        self.beats = [child for child in self.beats if child.poll() is None]
        for child in [*self.workers[workers:], *self.beats[beats:]]:
            self.kill(child, "group")
        for _ in range(workers - len(self.workers)):
            self.worker()
        for _ in range(beats - len(self.beats)):
            self.beat()

    def kill(self, child: Child, how: str) -> bool:
        """kill -9 the whole group (machine gone), the main process alone, or one child (out of memory).

        Returns: True if the process as a whole has ended.
        """
        if how == "child":
            for pid in self.chance.sample(children := children_of(child), min(1, len(children))):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return False
        with suppress(ProcessLookupError):
            (os.killpg if how == "group" else os.kill)(child.pid, signal.SIGKILL)
        child.wait()
        self.forget(child)
        return True

    def close(self) -> None:
        """End all; the group outlives its leader, so orphans end here too."""
        for child in self.kept():
            self.kill(child, "group")

    def forget(self, child: Child) -> None:
        """It was ended on purpose."""
        for kind in (self.workers, self.beats, self.others):
            if child in kind:
                kind.remove(child)

    def _celery(self, *args: str, **env: str) -> Child:
        return self._python("-m", "celery", "-A", APP, *args, "--loglevel", "WARNING", **env)

    def _python(self, *args: str, **env: str) -> Child:
        known = {**os.environ, **{key: str(value) for key, value in PROFILE.items()}, **env}
        known.pop("PYTEST_CURRENT_TEST", None)
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *args], cwd=ROOT, env=known, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True, preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )  # fmt: skip


def children_of(child: Child) -> list[int]:
    """The processes it forked."""
    try:
        return [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
    except OSError:
        return []


def _die_with_parent() -> None:
    """A killed test run must leave no worker behind: it would eat the next run's messages."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
