"""One run of one case under one allocator, and what the kernel counted for it."""

import atexit
import hashlib
import os
import shutil
import signal
import subprocess
import time

from benchlib import build, cases

TIMEOUT_S = 300
FIELDS = ("wall_s", "user_s", "system_s", "peak_kib", "minor_faults", "major_faults",
          "switches", "preemptions")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count() or 1


class ProgramFailure(Exception):
    """A program that crashed, failed, hung, or told something else than before."""


def parse_launch(line):
    """A line of launch.c: (wait status, sample)."""
    status, wall, user, system, *rest = (int(word) for word in line.split())
    return status, dict(zip(FIELDS, (wall / 1e9, user / 1e6, system / 1e6, *rest)))


def reason_of(status):
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit code {os.WEXITSTATUS(status)}"


def machine_times():
    """(seconds of all CPUs at work, seconds stolen by the host) since the start."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, soft, steal, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + soft) * TICK_S, steal * TICK_S


class Watch:
    """What else the machine did during a run: the share of its CPU time that went to others."""

    def __init__(self):
        self.begin, self.busy, self.stolen = time.monotonic(), *machine_times()

    def shares(self, own_seconds):
        busy, stolen = machine_times()
        whole = max(time.monotonic() - self.begin, TICK_S) * CPUS
        return {"elsewhere": round(max(0.0, busy - self.busy - own_seconds) / whole, 4),
                "stolen": round((stolen - self.stolen) / whole, 4)}


class Launcher:
    """A command under launch.c, in a process group of its own."""

    def __init__(self, command, library, run, repeat=1, stdout=subprocess.DEVNULL,
                 environment=None):
        self.reader, writer = os.pipe()
        self.errors = run / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(build.LAUNCH), str(writer), str(repeat), library or "-", *command],
                env=build.clean_environment() | (environment or {}), cwd=run,
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors, pass_fds=(writer,),
                start_new_session=True)
        os.close(writer)

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def finish(self, timeout=TIMEOUT_S):
        """The samples, one a repetition. The pipe holds them: 64 KiB are some 900 lines."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProgramFailure(f"not done after {timeout} s") from None
        finally:
            self.kill()
            with os.fdopen(self.reader) as file:
                lines = file.read().splitlines()
        said = self.errors.read_text(errors="replace")
        if "cannot be preloaded" in said:
            raise ProgramFailure(said.strip())
        samples = []
        for status, sample in map(parse_launch, lines):
            if status != 0:
                raise ProgramFailure(f"{reason_of(status)}; {said.strip()[-500:]}")
            samples.append(sample)
        if not samples:
            raise ProgramFailure(f"was not run; {said.strip()[-500:]}")
        return samples


def remove_folder():
    shutil.rmtree(build.BUILD / "run", ignore_errors=True)


def fresh_folder():
    """For one run; the last one goes when the tool ends."""
    atexit.unregister(remove_folder)
    atexit.register(remove_folder)
    run = build.BUILD / "run"
    if run.exists():
        shutil.rmtree(run)
    run.mkdir(parents=True)
    return run


def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run_case(case, allocator, size):
    """(sample, what the program said): text if short, else its hash; None if it may differ."""
    run = fresh_folder()
    command = case.command(size, run)
    if case.prepare:
        subprocess.run(["sh", "-c", cases.fill(case.prepare, **cases.places(size, run))],
                       check=True, env=build.clean_environment())
    if case.runner == "redis":
        from benchlib import redis
        return redis.run(case, allocator, size, run)
    output = run / "output" if case.is_ordered else os.devnull
    with open(output, "wb") as stdout:
        watch = Watch()
        launcher = Launcher(command, allocator.path if allocator else "", run, stdout=stdout,
                            environment=allocator.environment() if allocator else None)
        try:
            sample = launcher.finish()[0]
        except BaseException:
            launcher.kill()
            raise
    sample |= watch.shares(sample["user_s"] + sample["system_s"])
    if not case.is_ordered:
        return sample, None
    if output.stat().st_size < 200:
        return sample, output.read_text(errors="replace").strip()
    return sample, digest(output)
