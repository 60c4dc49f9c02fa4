"""Who we act for: one context variable, mirrored into the settings of every open connection.

The database walls read the mirror, the managers read the variable; neither is ever asked from a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.utils import DatabaseError
from psycopg import Error as PsycopgError
from psycopg.pq import TransactionStatus

from domventas.core.errors import DomventasError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from domventas.core.models import Client

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: Who may read for every active client at once. Writing still needs one client at a time.
ALL_CLIENTS_CALLERS: Final = frozenset({"beat", "relay", "sweeper", "ops", "health"})

PUT: Final = (
    "SELECT set_config('domventas.clients', %s, %s), set_config('domventas.actor', %s, %s),"
    " set_config('domventas.request', %s, %s)"
)


class NoClient(DomventasError):
    """A client's table was touched outside acting_for, or something needs exactly one client."""

    message = "No client is chosen."


@dataclass(frozen=True, slots=True)
class Acting:
    """For whom, limited to which brands (none named = all), by whom, within which request."""

    clients: tuple[int, ...]
    brands: tuple[int, ...] = ()
    actor: str = ""
    request: str = ""

    @property
    def one(self) -> int:
        """The only client. Raises: NoClient: there are several, or none."""
        if len(self.clients) != 1:
            raise NoClient(detail=f"needs exactly one client, acting for {len(self.clients)}")
        return self.clients[0]


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)
_person: ContextVar[tuple[str, str]] = ContextVar("person", default=("", ""))


def current_or_none() -> Acting | None:
    """Who we act for, or None."""
    return _acting.get()


def current() -> Acting:
    """Who we act for. Raises: NoClient: nobody."""
    acting = _acting.get()
    if acting is None:
        raise NoClient(detail="outside acting_for")
    return acting


def acting_client_id() -> int | None:
    """Default of every `client` column: the one client, else nothing, which NOT NULL and the wall then refuse."""
    acting = _acting.get()
    return acting.clients[0] if acting and len(acting.clients) == 1 else None


@contextmanager
def acting_for(
    *clients: Client | int, brands: Iterable[int] = (), actor: str = "", request: str = ""
) -> Iterator[Acting]:
    """Act for one client (reading and writing) or several (reading only) inside the block.

    Opens no transaction. Actor and request are those of the block around it unless given.
    Raises: NoClient: no client given.
    """
    if not clients:
        raise NoClient(detail="acting_for needs a client")
    outer = _acting.get()
    ids = tuple(client if isinstance(client, int) else client.pk for client in clients)
    acting = Acting(
        ids,
        tuple(brands),
        actor or (outer.actor if outer else ""),
        request or (outer.request if outer else ""),
    )
    with resume(acting):
        yield acting


@contextmanager
def known_as(actor: str, request: str = "") -> Iterator[None]:
    """Let the audit know who changes rows while no client is chosen: the platform's own pages and commands."""
    token = _person.set((actor, request))
    try:
        sync_all()
        yield
    finally:
        _person.reset(token)
        sync_all()


@contextmanager
def acting_for_all(caller: str) -> Iterator[Acting]:
    """Read for every active client. `caller` is one of ALL_CLIENTS_CALLERS.

    Raises: NoClient: the caller is not on the list.
    """
    if caller not in ALL_CLIENTS_CALLERS:
        raise NoClient(detail=f"{caller!r} may not act for all clients")
    client_model: type[Client] = apps.get_model("core", "Client")
    ids = tuple(client_model.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
    acting = Acting(ids, (), caller)
    with resume(acting):
        yield acting


@contextmanager
def resume(acting: Acting | None) -> Iterator[None]:
    """Act as `acting` says inside the block; None = for nobody."""
    token = _acting.set(acting)
    try:
        sync_all()
        yield
    finally:
        _acting.reset(token)
        sync_all()


def sync_all(**_: object) -> None:
    """Make every open connection say what the context variable says.

    Also the receiver of `request_finished` and `task_postrun`: it puts the value again instead of clearing it,
    because a request of the test client or an eager task runs inside somebody else's acting_for.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias in settings.WALLED_ALIASES:
            sync(connection)


def sync(connection: BaseDatabaseWrapper) -> None:
    """Put the context variable's value on one connection; a new connection calls this itself."""
    raw: Any = connection.connection
    if raw is None or raw.closed or raw.info.transaction_status == TransactionStatus.INERROR:
        return  # not open: connecting puts it. Aborted: the rollback brings back what was before.
    acting = _acting.get()
    values = (",".join(map(str, acting.clients)), acting.actor, acting.request) if acting else ("", *_person.get())
    # Not the transaction status: the driver sends BEGIN late, so it is still idle at the top of an atomic block.
    local = not raw.autocommit
    try:
        raw.execute(PUT, [item for value in values for item in (value, local)])
    except (PsycopgError, DatabaseError):
        connection.close()


def keep(func: Callable[P, R]) -> Callable[P, R]:
    """`func`, run later or in another thread, as the client of now."""
    acting = _acting.get()

    @wraps(func)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with resume(acting):
            return func(*args, **kwargs)

    return run


def keep_stream(items: Iterable[T]) -> Iterator[T]:
    """Each step of the iterable runs as the client of now; between two steps nobody is acting for it."""
    return _steps(_acting.get(), iter(items))


def _steps(acting: Acting | None, items: Iterator[T]) -> Iterator[T]:
    end = object()
    while True:
        with resume(acting):
            item: Any = next(items, end)
        if item is end:
            return
        yield item


def isolated(func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run in a copy of the context, so that nothing left set inside can leak out."""
    return copy_context().run(func, *args, **kwargs)
