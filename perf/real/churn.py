"""What Python does to an allocator, under PYTHONMALLOC=malloc, with which every object is a malloc.

    churn.py json FILE ROUNDS     parse a document and write it again
    churn.py objects COUNT        dictionaries, strings, tuples and objects come and go
"""

import hashlib
import json
import sys


class Point:
    def __init__(self, x, y):
        self.x, self.y, self.name = x, y, f"point {x}"


def round_trips(path, rounds):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for _ in range(rounds):
        document = json.loads(text)
        for record in document[::3]:
            record["tags"] = [tag.upper() for tag in record["tags"]] + ["seen"]
        text = json.dumps(document, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def churn(count):
    kept, total = {}, 0
    for i in range(count):
        key = f"key {i * 7919 % 20011}"
        if key in kept:
            point, words = kept.pop(key)
            total += point.x + len(words) + len(point.name)
        else:
            words = [str(i + j) for j in range(i % 9)]
            kept[key] = (Point(i, -i), words)
        if i % 5000 == 0:
            kept = {k: v for k, v in kept.items() if v[0].x % 3}
    return total + len(kept)


if sys.argv[1] == "json":
    print(round_trips(sys.argv[2], int(sys.argv[3])))
else:
    print(churn(int(sys.argv[2])))
