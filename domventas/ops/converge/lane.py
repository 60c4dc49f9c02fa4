"""One seed after the other: a calm run, a run under fire, and what tells them apart."""

from __future__ import annotations

import json
import os
import pickle
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from domventas.core.dump import Dump, compare
from domventas.ops.converge import databases, processes
from domventas.ops.converge.life import END, MOMENTS, WORLD, Place, counted, forget_refusals, steer
from domventas.ops.converge.processes import CUT, KILL, Worker

#: Tries to kill one worker before it is done; each at half the statements of the one before.
TRIES: Final = 8
#: Records a page under fire: each reading of a flow takes several pages, and can be stopped between them.
PAGE: Final = 8
#: Lines of what differs that are kept of a seed.
KEPT: Final = 40


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What became of one seed.

    Attributes:
        faults: injected ones by kind. kills: workers ended by kill -9. cuts: database sessions ended.
        rows: of the calm run. differences: `-` as it should be, `+` as it is.
    """

    seed: int
    diverged: bool = False
    faults: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    kills: int = 0
    cuts: int = 0
    lives: int = 0
    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    rows: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)
    error: str = ""

    def line(self) -> str:
        """As it stands in the results file."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Works off seeds in this process.

    Attributes:
        kills: per seed, at least. cache: folder of the calm runs' dumps. first_client: the ids of clients begin here;
            budgets are kept per client, so those of an earlier run must not be met again.
    """

    template: str
    kills: int
    rate: float
    cache: Path
    log: Path
    first_client: int

    def run(self, seed: int) -> Outcome:
        """Both runs of a seed, compared. What goes wrong on the way is in the outcome."""
        started, outcome = time.monotonic(), Outcome(seed=seed)
        try:
            with processes.sandbox(self.log, **WORLD, port=0, seed=seed) as url:
                calm, statements = self._calm(seed, url)
                fired = self._under_fire(seed, url, statements, outcome)
            found = compare(calm, fired)
            outcome.rows = sum(len(rows) for rows in calm.values())
            outcome.lost, outcome.duplicated, outcome.changed = found.lost, found.duplicated, found.changed
            outcome.differences, outcome.diverged = list(found.lines[:KEPT]), not found.equal
        except Exception as error:
            outcome.diverged, outcome.error = True, f"{type(error).__name__}: {error}"[:500]
        outcome.seconds = round(time.monotonic() - started, 1)
        return outcome

    # ── the calm run ────────────────────────────────────────────────────────────────────────────────────────────────
    def _calm(self, seed: int, url: str) -> tuple[Dump, int]:
        """The dump as it should be, and how many statements it took; from the cache if the code has not changed."""
        kept = self.cache / f"{seed}.pickle"
        if not kept.exists():
            place = Place(client=self.first_client + 2 * seed, sandbox=url)
            with databases.clone(self.template):
                counting = self.cache / f"{seed}.{os.getpid()}.count"
                dump = counting.with_suffix(".dump")
                self._must(lambda: place.furnish(), "furnish")
                self._must(lambda: _live_calmly(place, dump, counting), "calm run")
                whole = (pickle.loads(dump.read_bytes()), int(counting.read_text()))  # noqa: S301  # our own file
                dump.write_bytes(pickle.dumps(whole))
                dump.replace(kept)
                counting.unlink()
        found: tuple[Dump, int] = pickle.loads(kept.read_bytes())  # noqa: S301  # our own file
        return found

    def _must(self, work: Any, what: str) -> None:
        worker = Worker(work, [], self.log)
        list(worker.signals())
        if code := worker.end():
            raise RuntimeError(f"{what} ended with {code}; see {self.log}")

    # ── the run under fire ──────────────────────────────────────────────────────────────────────────────────────────
    def _under_fire(self, seed: int, url: str, statements: int, outcome: Outcome) -> Dump:
        rng = Random(f"fire/{seed}")  # noqa: S311  # repeatable chance is what it is for
        place = Place(client=self.first_client + 2 * seed + 1, sandbox=url)
        into = self.cache / f"{seed}.{os.getpid()}.fired"
        injected: Counter[str] = Counter()
        with databases.clone(self.template) as database, ExitStack() as stack:
            stack.callback(into.unlink, missing_ok=True)
            self._must(place.furnish, "furnish")
            for number, moment in enumerate(MOMENTS):
                _set_clock(url, moment)
                steer(url, plan="storm", seed=seed * 10 + number, rate=self.rate, stall=0.02, page=PAGE)
                wanted = self.kills * (number + 1) // len(MOMENTS) - self.kills * number // len(MOMENTS)
                for _ in range(wanted):
                    self._life(place, moment, database, rng, statements // (wanted + 1), outcome)
                forget_refusals(place.client)
                self._must(lambda now=moment: place.work(now), "worker under fire")  # type: ignore[misc]
                outcome.lives += 1
                done = steer(url, plan="calm")
                injected.update(done["injected"])
                outcome.requests += done["requests"]
            self._must(lambda: place.lose_a_day(rng), "deleting a day")
            forget_refusals(place.client)
            _set_clock(url, END)
            self._must(lambda: place.finish(END, into), "calm catch-up")
            outcome.faults = dict(sorted(injected.items()))
            dump: Dump = pickle.loads(into.read_bytes())  # noqa: S301  # our own file
            return dump

    def _life(self, place: Place, now: datetime, database: str, rng: Random, statements: int, outcome: Outcome) -> None:
        """One worker that is killed at a counted statement; its sessions may be cut shortly before."""
        reach = max(statements, 20)
        for _ in range(TRIES):
            end = rng.randrange(1, reach)
            moments = [(end, KILL)]
            if rng.random() < 0.5:
                moments.insert(0, (rng.randrange(1, end + 1), CUT))
            outcome.lives += 1
            if self._killed(Worker(lambda: place.work(now), moments, self.log), database, outcome):
                outcome.kills += 1
                return
            reach = max(reach // 2, 2)
        raise RuntimeError("no worker lived long enough to be killed")

    def _killed(self, worker: Worker, database: str, outcome: Outcome) -> bool:
        for told in worker.signals():
            if told == CUT:
                outcome.cuts += databases.cut_sessions(database)
            else:
                return worker.end(by_force=True) < 0
        worker.end()
        return False


def _live_calmly(place: Place, dump: Path, counting: Path) -> None:
    def whole() -> None:
        for moment in MOMENTS:
            _set_clock(place.sandbox, moment)
            place.work(moment)
        _set_clock(place.sandbox, END)
        place.finish(END, dump)

    counting.write_text(str(counted(whole)))


def _set_clock(url: str, moment: datetime) -> None:
    from domventas.ops.demo.life import Sandbox

    Sandbox(url=url).set_clock(moment)
