"""The inputs of the real programs: made, not downloaded, and the same every time.

Each maker is given a folder and a scale; `full` and `quick` runs have a folder each. A folder is
made anew when this file changes."""

import hashlib
import json
import pathlib
import random
import shutil
import subprocess

SCALES = {"full": 1.0, "quick": 0.3}
WORDS = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt "
         "ut labore et dolore magna aliqua").split()


def ensure(folder, size):
    """Makes the inputs of `size` ("full", "quick") in `folder` unless they are there."""
    stamp = folder / "stamp"
    version = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == version:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for make in (make_records, make_lines, make_c_source, make_cpp_source, make_repository):
        make(folder, SCALES[size])
    stamp.write_text(version)


def text(rng, words):
    return " ".join(rng.choices(WORDS, k=words))


def make_records(folder, scale):
    """records.json (for Python and jq) and records.xml (for xmllint): some 10 MB each."""
    rng = random.Random(1)
    records = [{"id": i, "name": f"{rng.choice(WORDS)} {i}", "score": round(rng.random() * 100, 3),
                "active": i % 3 == 0, "tags": rng.choices(WORDS, k=rng.randrange(6)),
                "place": {"x": rng.randrange(1000), "y": rng.randrange(1000), "note": None},
                "text": text(rng, rng.randrange(4, 16))}
               for i in range(int(40000 * scale))]
    (folder / "records.json").write_text(json.dumps(records))
    with (folder / "records.xml").open("w") as file:
        file.write('<?xml version="1.0"?>\n<records>\n')
        for r in records * 2:
            tags = "".join(f"<tag>{tag}</tag>" for tag in r["tags"])
            file.write(f' <record id="{r["id"]}" active="{int(r["active"])}"><name>{r["name"]}'
                       f'</name><score>{r["score"]}</score>{tags}<place x="{r["place"]["x"]}" '
                       f'y="{r["place"]["y"]}"/><text>{r["text"]} &amp; more</text></record>\n')
        file.write("</records>\n")


def make_lines(folder, scale):
    """lines.txt: key, word, number, text; for sort and gawk. tree/: small files for ripgrep."""
    rng = random.Random(2)
    phrases = [text(rng, rng.randrange(2, 9)) for _ in range(997)]
    with (folder / "lines.txt").open("w") as file:
        for i in range(int(1200000 * scale)):
            key = i * 7919 % 1000003
            file.write(f"k{key:07d} w{key * 31 % 65521:x} {key % 1009} {phrases[i % 997]}\n")
    tree = folder / "tree"
    tree.mkdir()
    for i in range(int(3000 * scale)):
        (tree / f"file{i}.txt").write_text("".join(
            f"{rng.choice(phrases)} {rng.randrange(10**6)}\n" for _ in range(80)))


def c_function(rng, i):
    """One function of the C source, in one of four shapes."""
    shape, k = i % 4, rng.randrange(3, 60)
    if shape == 0:
        cases = "".join(f"    case {c}: x = (x << {c % 5 + 1}) ^ "
                        f"table[(x + {rng.randrange(99)}) % 64]; break;\n" for c in range(12))
        body = f"    switch (x % 16) {{\n{cases}    default: x += {k}; break;\n    }}\n"
    elif shape == 1:
        body = (f"    unsigned t[{k}];\n    for (unsigned i = 0; i < {k}; i++)\n"
                f"        t[i] = x * (i + {k}) ^ table[i % 64];\n"
                f"    for (unsigned i = 1; i < {k}; i++)\n        t[i] += t[i - 1] >> 3;\n"
                f"    x = t[{k - 1}];\n")
    elif shape == 2:
        body = (f"    struct item *list = 0;\n    for (unsigned i = 0; i < {k}; i++) {{\n"
                "        struct item *item = malloc(sizeof *item);\n"
                "        if (!item)\n            abort();\n"
                f"        item->key = x + i;\n        item->weight = i * {k}.5;\n"
                "        item->next = list;\n        list = item;\n    }\n"
                "    while (list) {\n        struct item *next = list->next;\n"
                "        x = x * 33 + list->key + (unsigned)list->weight;\n        free(list);\n"
                "        list = next;\n    }\n")
    else:
        steps = "".join(f"    a = a * {rng.randrange(9)}.5 + b / (a + {c + 1});\n"
                        f"    if (a > 1e{c + 4}) b -= a / {c + 3};\n" for c in range(6))
        body = f"    double a = x % 1000, b = {k}.25;\n{steps}    x ^= (unsigned)(a + b);\n"
    call = ""
    if i > 0:
        call = f"    if (x & {1 << rng.randrange(8)})\n        x += f{rng.randrange(i)}(x | 1);\n"
    return f"static unsigned f{i}(unsigned x)\n{{\n{body}{call}    return x;\n}}\n"


def make_c_source(folder, scale):
    """large.c: a file of many functions, for gcc -O2."""
    rng = random.Random(3)
    count = int(200 * scale)
    parts = ["#include <stdlib.h>\n"
             "struct item { unsigned key; double weight; struct item *next; };\n"
             "extern unsigned table[64];\n"]
    parts += [c_function(rng, i) for i in range(count)]
    parts += ["unsigned all(unsigned x)\n{\n", *(f"    x = f{i}(x);\n" for i in range(count)),
              "    return x;\n}\n"]
    (folder / "large.c").write_text("".join(parts))


def make_cpp_source(folder, scale):
    """templates.cpp: containers of many types, variants and recursive templates, for g++."""
    parts = ["#include <algorithm>\n#include <functional>\n#include <map>\n#include <memory>\n"
             "#include <string>\n#include <tuple>\n#include <variant>\n#include <vector>\n"
             "template <int N> struct number { static constexpr int value = N; int field = N; };\n"
             "template <int N> struct fibonacci { static constexpr unsigned value = "
             "fibonacci<N - 1>::value + fibonacci<N - 2>::value; };\n"
             "template <> struct fibonacci<0> { static constexpr unsigned value = 0; };\n"
             "template <> struct fibonacci<1> { static constexpr unsigned value = 1; };\n"
             "template <class... T> auto sum(T... t) { return (0u + ... + t); }\n"]
    for i in range(max(1, int(5 * scale))):
        kinds = ", ".join(f"number<{i * 20 + j}>" for j in range(12))
        parts.append(
            f"unsigned use{i}(unsigned x)\n{{\n"
            f"    std::map<std::tuple<number<{i}> *, unsigned>, std::vector<std::string>> names;\n"
            f"    std::variant<{kinds}> choice = number<{i * 20}>{{}};\n"
            "    names[{nullptr, x}].push_back(\n"
            f"        std::to_string(fibonacci<{300 + i * 20}>::value));\n"
            "    std::function<unsigned(unsigned)> f =\n"
            "        [&](unsigned y) { return y + names.size(); };\n"
            f"    auto owned = std::make_shared<std::pair<number<{i}>, std::string>>();\n"
            "    std::vector<std::pair<unsigned, decltype(owned)>> all{{f(x), owned}};\n"
            "    std::sort(all.begin(), all.end(), "
            "[](auto &a, auto &b) { return a.first < b.first; });\n"
            "    return sum(x, std::visit([](auto n) { return unsigned(n.field + n.value); }, "
            "choice),\n"
            f"               fibonacci<{250 + i}>::value, unsigned(all.size()));\n}}\n")
    (folder / "templates.cpp").write_text("".join(parts))


def make_repository(folder, scale):
    """repository.git: a history of small commits, each object loose, for git gc."""
    rng = random.Random(5)
    repository = folder / "repository.git"
    git = ["git", "-C", str(repository)]
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    files = {f"src/part{i}/file{i}.txt": [text(rng, 8) for _ in range(60)] for i in range(80)}
    stream, mark = [], 0
    for commit in range(int(1500 * scale)):
        names = rng.sample(sorted(files), 3) if commit else sorted(files)
        changes = []
        for name in names:
            files[name][rng.randrange(60)] = text(rng, 9)
            content = "\n".join(files[name]) + "\n"
            changes.append(f"M 100644 inline {name}\ndata {len(content)}\n{content}\n")
        message = f"change {commit}"
        stream.append(f"commit refs/heads/main\nmark :{commit + 1}\n"
                      f"committer A <a@example.org> {1000000000 + commit * 60} +0000\n"
                      f"data {len(message)}\n{message}\n")
        if mark:
            stream.append(f"from :{mark}\n")
        stream += [*changes, "\n"]
        mark = commit + 1
    # Loose objects are what gc has to pack: fast-import's pack is taken apart.
    subprocess.run([*git, "-c", "fastimport.unpackLimit=1000000", "fast-import", "--quiet"],
                   input="".join(stream).encode(), check=True)
    for key, value in (("pack.threads", "2"), ("gc.auto", "0"), ("gc.pruneExpire", "now")):
        subprocess.run([*git, "config", key, value], check=True)
