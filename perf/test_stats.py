#!/usr/bin/env python3
"""Protects the judgements of perf/bench: with made-up samples, each rank and each verdict is
reached, and none from too few rounds or missing cases. And that a library given with options is
measured with them.

    python3 perf/test_stats.py
"""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from benchlib import allocators, cases, charts, measure, side, stats  # noqa: E402

STEADY = [1.0, 1.01, 1.0, 0.99, 1.0]


def sample(wall_s, peak_kib=1000):
    return {"wall_s": wall_s, "user_s": wall_s / 4, "system_s": 0.0, "peak_kib": peak_kib,
            "elsewhere": 0.0, "stolen": 0.0}


def result(times, group="own"):
    """{case: {allocator: [seconds]}} as a result."""
    return {"allocators": [{"name": "slabmalloc", "role": "subject", "version": "1"},
                           {"name": "mimalloc", "role": "peer", "version": "1"},
                           {"name": "other", "role": "peer", "version": "1"},
                           {"name": "old", "role": "variant", "version": "1"}],
            "cases": [{"name": case, "group": group} for case in times],
            "samples": {case: {name: [sample(s) for s in seconds]
                               for name, seconds in by_allocator.items()}
                        for case, by_allocator in times.items()},
            "rounds": 5, "size": "full", "date": "2000-01-01", "commit": "0",
            "machine": {"cpu": "", "cpus": 2, "system": "", "kernel": ""}}


def table(times, **kwargs):
    return stats.Table(result(times), **kwargs)


def verdict(times, target, index=0):
    return [v for v in stats.judge(table(times)) if v["target"] == target][index]


class Ranks(unittest.TestCase):
    def rank_of(self, ours, theirs):
        return table({"c": {"slabmalloc": ours, "mimalloc": theirs}}).rank("c")

    def test_told_apart(self):
        self.assertEqual(self.rank_of([0.8, 0.81, 0.8], STEADY), "faster")
        self.assertEqual(self.rank_of([1.2, 1.21, 1.2], STEADY), "slower")

    def test_not_told_apart(self):
        self.assertEqual(self.rank_of(STEADY, STEADY), "equal")
        self.assertEqual(self.rank_of([1.3, 1.6, 1.0, 0.8, 1.1], STEADY), "noisy")
        self.assertEqual(self.rank_of([0.9, 0.7, 1.0, 1.2, 0.8], STEADY), "noisy")

    def test_too_few_rounds(self):
        self.assertEqual(self.rank_of([0.5, 0.5], [1.0, 1.0]), "unknown")

    def test_a_variant_is_no_peer(self):
        found = table({"c": {"slabmalloc": STEADY, "mimalloc": [2.0] * 3, "old": [0.1] * 3}})
        self.assertEqual(found.best_peer("c")[0], "mimalloc")

    def test_by_cpu(self):
        times = {"c": {"slabmalloc": STEADY, "mimalloc": STEADY}}
        self.assertEqual(table(times, by="cpu").figure("c", "mimalloc").median, 0.25)
        self.assertEqual(table(times).figure("c", "mimalloc").median, 1.0)


class Means(unittest.TestCase):
    def test_best_single_peer_is_best_over_all(self):
        """`other` wins one case by far less than it loses the other."""
        found = table({"a": {"slabmalloc": [1] * 3, "mimalloc": [1.0] * 3, "other": [0.9] * 3},
                       "b": {"slabmalloc": [1] * 3, "mimalloc": [1.0] * 3, "other": [3.0] * 3}})
        self.assertEqual(found.best_single_peer(["a", "b"]), "mimalloc")
        self.assertAlmostEqual(found.mean_ratio("other", "mimalloc", ["a", "b"]), 2.7 ** 0.5)

    def test_a_missing_case_gives_no_mean(self):
        found = table({"a": {"slabmalloc": STEADY, "mimalloc": STEADY},
                       "b": {"slabmalloc": STEADY}})
        self.assertIsNone(found.best_single_peer(["a", "b"]))


class Verdicts(unittest.TestCase):
    def test_means(self):
        for ours, expected in (([0.8, 0.81, 0.8], "met"), ([0.95, 0.95, 0.96], "missed"),
                               ([0.5, 1.3, 0.9], "unclear"), ([0.5], "unclear")):
            times = {c: {"slabmalloc": ours, "mimalloc": STEADY[:len(ours)],
                         "other": [2.0] * len(ours)} for c in "ab"}
            self.assertEqual(verdict(times, "own programs, time")["verdict"], expected, ours)

    def test_each(self):
        times = {"fast": {"slabmalloc": [0.8, 0.81, 0.8], "mimalloc": STEADY},
                 "slow": {"slabmalloc": [1.2, 1.21, 1.2], "mimalloc": STEADY},
                 "noisy": {"slabmalloc": [1.3, 1.6, 1.0, 0.8, 1.1], "mimalloc": STEADY}}
        found = verdict(times, "each own program, time")
        self.assertEqual((found["verdict"], found["missed"], found["unclear"]),
                         ("missed", [["slow", 1.2]], [["noisy", 1.1]]))
        del times["slow"]
        self.assertEqual(verdict(times, "each own program, time")["verdict"], "unclear")
        del times["noisy"]
        self.assertEqual(verdict(times, "each own program, time")["verdict"], "met")

    def test_each_with_too_few_rounds(self):
        times = {"fast": {"slabmalloc": [0.8], "mimalloc": [1.0]}}
        self.assertEqual(verdict(times, "each own program, time")["verdict"], "unclear")

    def test_the_limit_lies_in_the_interval(self):
        times = {c: {"slabmalloc": [0.8, 0.85, 0.89, 0.93, 0.99], "mimalloc": STEADY,
                     "other": [2.0] * 5} for c in "ab"}
        self.assertEqual(verdict(times, "own programs, time")["verdict"], "unclear")

    def test_memory(self):
        times = {"c": {"slabmalloc": STEADY, "mimalloc": STEADY, "other": STEADY}}
        self.assertEqual(verdict(times, "peak memory")["verdict"], "missed")


class Options(unittest.TestCase):
    def test_a_program_gets_the_library_and_its_options(self):
        plain = allocators.Allocator("slabmalloc", "/l.so", "subject", "1")
        checked = allocators.with_options(plain, "checked=canary=on,guard=on")
        for allocator, preload, expected in (
                (plain, True, ("/l.so", {})),
                (checked, True, ("/l.so", {"SLABMALLOC_OPTIONS": "canary=on,guard=on"})),
                (checked, False, ("", {"SLABMALLOC_OPTIONS": "canary=on,guard=on"}))):
            with unittest.mock.patch.object(measure, "Launcher") as launcher:
                side.run("true", (), allocator, preload=preload)
            _, library, *_, environment = launcher.call_args.args
            self.assertEqual((library, environment), expected)


class Parts(unittest.TestCase):
    def test_fill_leaves_other_braces(self):
        self.assertEqual(cases.fill("{run}/x {{k: .v}} {other}", run="/r"), "/r/x {k: .v} {other}")

    def test_names_of_cases_differ(self):
        names = [case.name for case in cases.load()]
        self.assertEqual(len(names), len(set(names)))

    def test_charts_are_well_formed(self):
        """Also with a case that failed, and a ratio beyond the axis."""
        times = {"a<b": {"slabmalloc": [9.0] * 3, "mimalloc": STEADY, "other": STEADY},
                 "b": {"slabmalloc": STEADY}}
        with tempfile.TemporaryDirectory() as folder:
            texts = {path.stem: "".join(xml.etree.ElementTree.parse(path).getroot().itertext())
                     for path in charts.write(result(times), pathlib.Path(folder))}
        self.assertEqual(set(texts), {"time", "memory"})
        self.assertIn("▸ 9.00×", texts["time"])


if __name__ == "__main__":
    unittest.main()
