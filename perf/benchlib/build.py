"""Where things are, and how the programs of programs/ are built: into build/perf, by cc."""

import fcntl
import os
import pathlib
import subprocess
import sys

PERF = pathlib.Path(__file__).resolve().parent.parent
PROJECT = PERF.parent
BUILD = PROJECT / "build" / "perf"
PROGRAMS = PERF / "programs"
REAL = PERF / "real"
LAUNCH = BUILD / "launch"

# -fno-builtin: else the compiler drops pairs of malloc and free, or turns one call into another.
FLAGS = ("-std=gnu11", "-O2", "-fno-builtin", "-fno-omit-frame-pointer", "-g", "-Wall", "-Wextra",
         "-pthread")


def stay_alone():
    """Ends this process if another measures in the same tree; the lock goes with the process. Two
    at a time would share a folder, and measure each other."""
    BUILD.mkdir(parents=True, exist_ok=True)
    file = os.open(BUILD / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("perf: another measurement is running in this tree")


def is_older(target, sources):
    return not target.exists() or any(target.stat().st_mtime < s.stat().st_mtime for s in sources)


def build_programs():
    """Builds what is older than its source. A program that does not compile ends the driver."""
    stay_alone()
    compiler = os.environ.get("CC", "cc")
    for source in sorted(PROGRAMS.glob("*.c")):
        target = BUILD / source.stem
        if not is_older(target, (source, *PROGRAMS.glob("*.h"), pathlib.Path(__file__))):
            continue
        # Linked statically: see launch.c.
        link = ("-static",) if source.stem == "launch" else ()
        done = subprocess.run([compiler, *FLAGS, *link, "-o", str(target), str(source)],
                              check=False)
        if done.returncode != 0:
            sys.exit(f"perf: {source} does not compile")


def build_library():
    """The release library, built if it is not there, never rebuilt: what is there is measured."""
    library = PROJECT / "build" / "release" / "libslabmalloc.so"
    if not library.exists():
        for command in (["cmake", "--preset", "release"],
                        ["cmake", "--build", "--preset", "release", "--target", "slabmalloc"]):
            subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return library.resolve()


def clean_environment():
    """What programs under measurement see: Debian's own programs first, no options of anyone's but
    slabmalloc's, the same hashes in every run."""
    home = BUILD / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k.startswith("SLABMALLOC")}
    environment |= {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "TMPDIR": str(home),
        "LC_ALL": "C", "TZ": "UTC", "TERM": "dumb", "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
        "PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}
    return environment
