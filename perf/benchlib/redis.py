"""redis-server under redis-benchmark. The allocator is preloaded into the server only. `wall_s` is
the time of the benchmark's client, everything else the server's."""

import subprocess
import time

from benchlib import build, measure

# (test of redis-benchmark, share of the requests)
TESTS = (("set", 1.0), ("get", 1.0), ("lpush", 1.0), ("lrange_100", 0.05))
START_S = 20


def is_answering(socket):
    done = subprocess.run(["redis-cli", "-s", str(socket), "ping"], capture_output=True, text=True,
                          env=build.clean_environment(), check=False)
    return done.stdout.strip() == "PONG"


def client(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env=build.clean_environment(), timeout=measure.TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise measure.ProgramFailure(f"{command[0]} is not done") from None
    if done.returncode != 0 or "ERR" in done.stdout:
        raise measure.ProgramFailure(f"{command[0]}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return done.stdout


def command(socket, folder):
    """The server's. A unix socket and no port: nothing listens on any network."""
    return ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "",
            "--appendonly", "no", "--dir", str(folder)]


def use(socket, requests, process):
    """Works as a client until the server has ended. Returns (seconds, length of the list)."""
    deadline = time.monotonic() + START_S
    while not is_answering(socket):
        if time.monotonic() > deadline or process.poll() is not None:
            raise measure.ProgramFailure("the server does not answer")
        time.sleep(0.01)
    begin = time.monotonic()
    for test, share in TESTS:
        # Values of 100 bytes under 100,000 keys, 20 connections, 16 requests at a time.
        told = client("redis-benchmark", "-s", str(socket), "-n", str(int(requests * share)), "-r",
                      "100000", "-d", "100", "-c", "20", "-P", "16", "-q", "-t", test)
        if "requests per second" not in told:
            raise measure.ProgramFailure(f"redis-benchmark -t {test}: {told[-300:]}")
    wall = time.monotonic() - begin
    keys = client("redis-cli", "-s", str(socket), "llen", "mylist").strip()
    client("redis-cli", "-s", str(socket), "shutdown", "nosave")
    return wall, keys


def run(case, allocator, size, folder):
    socket = folder / "redis.sock"
    watch = measure.Watch()
    server = measure.Launcher(command(socket, folder), allocator.path if allocator else "", folder,
                              environment=allocator.environment() if allocator else None)
    try:
        wall, keys = use(socket, case.amounts[size], server.process)
        sample = server.finish(START_S)[0]
    except BaseException:
        server.kill()
        raise
    sample["wall_s"] = wall
    return sample | watch.shares(sample["user_s"] + sample["system_s"]), f"list {keys}"
