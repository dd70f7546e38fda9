"""The real programs under cachegrind: what a run of each executes and misses, which neither the
machine nor its load changes. Time in the kernel is not in it."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

from benchlib import build, cases, data, measure as clocked, redis, side, stats

# First and second level of a core of today, and lines as long as a page: its translations, of which
# the first level holds 64 and the second 2048.
MEMORY = ("--I1=32768,8,64", "--D1=32768,8,64", "--LL=524288,8,64")
TRANSLATION = ("--I1=32768,8,64", "--D1=262144,64,4096", "--LL=8388608,8,4096")
FIGURES = {"instructions": "Ir", "D1 misses": "D1", "L2 misses": "L2", "TLB misses": "TLB",
           "TLB2 misses": "TLB2"}
# A simulation takes some 50 times as long.
REDIS_REQUESTS = 40000


def chosen(only):
    """Of one thread: which of several comes first is chance. What a server has to do at a time is
    so, too, but adds up to the same."""
    found = [c for c in cases.load() if not c.is_own() and c.threads == 1 and not c.prepare]
    return [c for c in found if only in ("real", c.name)]


def counts_of(folder):
    """{event: count} of all processes of a run."""
    total = {}
    for path in pathlib.Path(folder).glob("counts.*"):
        lines = path.read_text(errors="replace").splitlines()
        events = next(line for line in lines if line.startswith("events:")).split()[1:]
        sums = next(line for line in lines if line.startswith("summary:")).split()[1:]
        for event, count in zip(events, map(int, sums)):
            total[event] = total.get(event, 0) + count
    return total


def run(case, allocator, caches):
    with tempfile.TemporaryDirectory() as folder:
        socket = pathlib.Path(folder) / "redis.sock"
        command = redis.command(socket, folder) if case.runner else case.command("quick", folder)
        with (pathlib.Path(folder) / "errors").open("w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                ["valgrind", "--tool=cachegrind", "--trace-children=yes", "--cache-sim=yes",
                 *caches, f"--cachegrind-out-file={folder}/counts.%p", *command],
                env=allocator.preloaded(), cwd=folder, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors)
            try:
                if case.runner:
                    redis.use(socket, REDIS_REQUESTS, process)
                if process.wait() != 0:
                    errors.seek(0)
                    raise clocked.ProgramFailure(errors.read()[-1000:])
            except clocked.ProgramFailure as failure:
                sys.exit(f"misses: FAILED: {case.name} on {allocator.name}: {failure}")
            finally:
                process.kill()
        return counts_of(folder)


def measure_one(job):
    case, allocator = job
    side.show(f"{case.name} · {allocator.name}")
    memory, translation = run(case, allocator, MEMORY), run(case, allocator, TRANSLATION)
    return {"Ir": memory["Ir"],
            "D1": memory["D1mr"] + memory["D1mw"], "L2": memory["DLmr"] + memory["DLmw"],
            "TLB": translation["D1mr"] + translation["D1mw"],
            "TLB2": translation["DLmr"] + translation["DLmw"]}


def measure(wanted, programs):
    """{program: {allocator: {figure: count}}}."""
    data.ensure(build.BUILD / "data" / "quick", "quick")
    for reason in filter(None, (case.missing() for case in programs)):
        print(f"skipped: {reason}", file=sys.stderr)
    jobs = [(case, allocator) for case in programs if not case.missing() for allocator in wanted]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(measure_one, jobs))
    found = {}
    for (case, allocator), row in zip(jobs, rows):
        found.setdefault(case.name, {})[allocator.name] = row
    return found


def print_tables(found, result):
    names = [a["name"] for a in result["allocators"]]
    peers = [a["name"] for a in result["allocators"] if a["role"] == "peer"]
    for title, figure in FIGURES.items():
        print(f"\nreal programs, {title}: as ratios to the best peer's")
        print(f"{'':>16}" + "".join(f"{name[:10]:>12}" for name in names))
        ratios = {name: [] for name in names}
        for program, rows in found.items():
            best = min(rows[name][figure] for name in peers or names)
            for name in names:
                ratios[name].append(rows[name][figure] / best)
            print(f"{program:>16}" + "".join(f"{ratios[name][-1]:12.3f}" for name in names))
        print(f"{'geometric mean':>16}"
              + "".join(f"{stats.geometric_mean(ratios[name]):12.3f}" for name in names))
