"""Processes that run side by side, how far each is, and what it wrote."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

FATAL = "Fatal Python error"  # faulthandler's first words
ROOT = Path(__file__).resolve().parents[1]


class Job:
    """A process, in a group of its own with all that it starts.

    What it prints goes to NAME.txt, its errors to NAME.err.
    """

    def __init__(self, name: str, folder: Path, *command: str | Path) -> None:
        self.name = name
        self.kind = name.split("-")[0]
        self.log, self.errors = folder / f"{name}.txt", folder / f"{name}.err"
        self.command = [sys.executable, *map(str, command)]
        self.process: subprocess.Popen[bytes] | None = None
        self.code: int | None = None  # until it has ended
        self.stopped = False
        self.began = self.seconds = 0.0

    @property
    def finished(self) -> bool:
        return self.code is not None

    def start(self, env: Mapping[str, str]) -> None:
        self.began = time.monotonic()
        with self.log.open("wb") as out, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=env,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )

    def running(self) -> bool:
        """Look at the process."""
        if self.process is None or self.finished or self.stopped:
            return False
        self.seconds = time.monotonic() - self.began
        self.code = self.process.poll()
        return not self.finished

    def stop(self) -> None:
        """End the process and all that it started."""
        if self.running() and self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.stopped = True

    def __str__(self) -> str:
        if self.process is None:
            return "not begun"
        if self.stopped:
            return f"stopped after {self.seconds:.0f} s"
        if self.code is None:
            return f"running, for {self.seconds:.0f} s"
        how = f"with {self.code}" if self.code >= 0 else f"by signal {-self.code}"
        return f"ended {how} after {self.seconds:.0f} s"

    def last(self, n: int = 1) -> str:
        """Return the last lines that it wrote; of a crash, where it was."""
        for file in (self.errors, self.log):
            if written := [line for line in _text(file).splitlines() if line.strip()]:
                fatal = [i for i, line in enumerate(written) if line.startswith(FATAL)]
                if fatal:
                    there = written[fatal[0] :]
                    at = [i for i, x in enumerate(there) if x.startswith("Current thread")]
                    return "\n".join([there[0], *there[at[0] if at else 1 :][:n]])
                return "\n".join(written[-n:])
        return "it wrote nothing"

    @property
    def crashed(self) -> bool:
        """Whether it, or a process of its own, has crashed."""
        return FATAL in _text(self.errors)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def work(jobs: Sequence[Job], at_once: int, env: Mapping[str, str]) -> Iterator[None]:
    """Run jobs, so many at once, and those that run already; yield now and then."""
    busy = [job for job in jobs if job.running()]
    waiting = [job for job in jobs if job.process is None]
    while waiting or busy:
        while waiting and len(busy) < at_once:
            busy.append(waiting.pop(0))
            busy[-1].start(env)
        yield
        time.sleep(0.2)
        for job in [job for job in busy if not job.running()]:
            print(f"{job.name} {job}", flush=True)
            busy.remove(job)
