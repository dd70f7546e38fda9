# shellcheck shell=bash
# Protects: an interpreter under three uses of the heap: its own arenas on top (default), every object from us
# (PYTHONMALLOC=malloc), and every object from us with its checks (malloc_debug); threads, and children forked
# from a process that has threads.
# needs: python3:python3

cat >program.py <<'END'
import ctypes, gc, hashlib, io, itertools, json, multiprocessing, os, queue, re, subprocess, sys, threading, zlib
from concurrent.futures import ThreadPoolExecutor

def digest(x): return hashlib.sha256(repr(x).encode()).hexdigest()[:16]

def json_round(n):
    data = {f"key{i}": {"list": list(range(i % 50)), "text": "ü" * (i % 90), "float": i / 7} for i in range(n)}
    text = json.dumps(data, sort_keys=True, indent=1)
    assert json.loads(text) == data
    return len(text), zlib.crc32(text.encode())

def churn(n):
    d = {}
    for i in range(n):
        d[i * 7919 % 100003] = (i, str(i), [i] * (i % 9))
        if i % 3 == 0: d.pop(i * 31 % 100003, None)
    return len(d), digest(sorted(d.items())[:500])

def by_hand(n): # what everybody's malloc has allocated, freed by the one that libc.so.6 has itself
    everybodys, libcs = ctypes.CDLL(None), ctypes.CDLL("libc.so.6")
    for library in everybodys, libcs:
        for name in "malloc", "strdup", "realloc": getattr(library, name).restype = ctypes.c_void_p
        library.free.argtypes = library.realloc.argtypes = [ctypes.c_void_p]
        library.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    for i in range(n):
        libcs.free(everybodys.malloc(i))
        everybodys.free(libcs.malloc(i))
        libcs.free(everybodys.strdup(b"x" * i))
        everybodys.free(libcs.realloc(everybodys.strdup(b"x" * i), 2 * i + 1))
    return n

def work(n):
    sys.stdout.flush()
    maps = open("/proc/self/maps").read()
    return n, sum(len(str(i)) for i in range(n * 1000)), digest(sorted(str(i) for i in range(n * 100))), maps

def main():
    print("json", json_round(3000))
    print("ctypes", by_hand(500))
    print("churn", churn(150000))
    big = bytearray()
    for i in range(3000): big += bytes([i % 256]) * 1000
    print("bytes", len(big), zlib.crc32(bytes(big)))
    print("re", len(re.findall(r"(\w+)@(\w+)\.org", "me@example.org you " * 20000)))

    results, jobs = [], queue.Queue()
    def worker():
        while (n := jobs.get()) is not None:
            results.append((n, json_round(n), digest(list(itertools.permutations(range(6)))[n])))
    threads = [threading.Thread(target=worker) for _ in range(8)]
    for t in threads: t.start()
    for n in range(1, 81): jobs.put(n)
    for t in threads: jobs.put(None)
    for t in threads: t.join()
    print("threads", digest(sorted(results)))
    for _ in range(300):
        t = threading.Thread(target=lambda: [bytes(100) for _ in range(50)])
        t.start(); t.join()

    stop = threading.Event() # forked from a process with a busy thread
    busy = threading.Thread(target=lambda: [churn(500) for _ in iter(stop.is_set, True)])
    busy.start()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        rows = sorted(pool.map(work, range(1, 40)))
    print("fork", digest([row[:3] for row in rows]))
    with open("maps.child", "w") as f: f.write(rows[0][3])
    for _ in range(40):
        pid = os.fork()
        if pid == 0:
            churn(200)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    stop.set(); busy.join()

    out = subprocess.run([sys.executable, "-c", "print(sum(range(10**6)))"], capture_output=True, text=True)
    print("subprocess", out.returncode, out.stdout.strip(), out.stderr.strip())
    libc = ctypes.CDLL(None)
    libc.strdup.restype = ctypes.c_void_p
    p = libc.strdup(b"x" * 1000)
    print("ctypes", len(ctypes.string_at(p)))
    libc.free(ctypes.c_void_p(p))
    cycles = [[] for _ in range(50000)]
    for a, b in zip(cycles, cycles[1:]): a.append(b)
    cycles[-1].append(cycles[0]); del cycles, a, b
    print("gc", gc.collect() >= 50000)

main()
END

preload
proof python3 -
for allocator in default malloc malloc_debug; do
    PYTHONMALLOC=$allocator python3 program.py
    proof_maps "python3 forked, $allocator" maps.child
done
