"""A real program for tools/try: objects of many sizes, made, sorted and serialised by threads."""

import json
import threading

RECORDS = 60_000
THREADS = 4


def work(number, results):
    records = [
        {"id": i, "name": f"record {i * 7919 % RECORDS}", "tags": ["x" * (i % 40), "y"]}
        for i in range(RECORDS)
    ]
    records.sort(key=lambda record: record["name"])
    text = json.dumps(records)
    results[number] = len(json.loads(text))


def main():
    results = [0] * THREADS
    threads = [threading.Thread(target=work, args=(n, results)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open("/proc/self/maps", encoding="ascii") as maps:
        loaded = any("libslabmalloc" in line for line in maps)
    print(
        f"{sum(results)} records built, sorted, serialised and parsed in {THREADS} threads;"
        f" slabmalloc is {'loaded' if loaded else 'NOT LOADED'}",
        flush=True,
    )


main()
