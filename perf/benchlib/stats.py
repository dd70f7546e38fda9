"""From samples to judgements. README.md, "Noise", says the same in words.

A figure is the median over the rounds. What is given as its spread is the interquartile range: half
of the rounds lie in [q1, q3]. Two figures are told apart only if these intervals do not overlap."""

import math
import random
import statistics

ROUNDS_TO_JUDGE = 3
NOISY_SPREAD = 0.05
BUSY_SHARE = 0.02  # of CPU time that went to others: above, the machine was not free
RESAMPLINGS = 300


class Figure:
    """One quantity of one allocator in one case, over the rounds."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        self.minimum = min(self.values)
        if len(self.values) >= 2:
            self.q1, _, self.q3 = statistics.quantiles(self.values, n=4, method="inclusive")
        else:
            self.q1 = self.q3 = self.median
        self.spread = (self.q3 - self.q1) / self.median if self.median else 0.0

    def can_be_judged(self):
        return len(self.values) >= ROUNDS_TO_JUDGE

    def is_noisy(self):
        return self.spread > NOISY_SPREAD


def geometric_mean(values):
    values = list(values)
    return math.exp(statistics.fmean(map(math.log, values))) if values else math.nan


class Table:
    """All samples of a result by case and allocator."""

    def __init__(self, result, by="wall"):
        self.result, self.by = result, by
        self.cases = [c for c in result["cases"] if result["samples"].get(c["name"])]
        self.allocators = [a["name"] for a in result["allocators"]]
        self.peers = [a["name"] for a in result["allocators"] if a["role"] == "peer"]
        self.subject = next((a["name"] for a in result["allocators"] if a["role"] == "subject"), "")
        self.figures = {}

    def figure(self, case, allocator, field="wall_s"):
        """Or None where there is no sample. Judged "by cpu", a time is that in user and system mode
        together: what a run costs even while other programs take turns with it."""
        key = (case, allocator, field)
        if key not in self.figures:
            samples = self.result["samples"].get(case, {}).get(allocator, [])
            values = [s["user_s"] + s["system_s"] if field == "wall_s" and self.by == "cpu"
                      else s[field] for s in samples]
            self.figures[key] = Figure(values) if samples else None
        return self.figures[key]

    def names(self, group=None):
        return [c["name"] for c in self.cases if group in (None, c["group"])]

    def best_peer(self, case, field="wall_s"):
        """(name, figure) of the peer with the lowest median."""
        found = [(p, self.figure(case, p, field)) for p in self.peers]
        return min(((p, f) for p, f in found if f), key=lambda pair: pair[1].median,
                   default=(None, None))

    def ratio(self, case, allocator, base, field="wall_s"):
        ours, theirs = self.figure(case, allocator, field), self.figure(case, base, field)
        return ours.median / theirs.median if ours and theirs and theirs.median else None

    def mean_ratio(self, allocator, base, cases, field="wall_s"):
        """Not a number if a case is missing: means over different cases are not comparable."""
        ratios = [self.ratio(case, allocator, base, field) for case in cases]
        return geometric_mean(ratios) if all(ratios) else math.nan

    def mean_ratio_interval(self, allocator, base, cases, field="wall_s"):
        """The 90 % interval of mean_ratio when the rounds are drawn again with replacement (the
        bootstrap of Efron, 1979). A round is drawn for both at once: they ran side by side."""
        pairs = []
        for case in cases:
            ours, theirs = self.figure(case, allocator, field), self.figure(case, base, field)
            if ours and theirs and ours.can_be_judged() and theirs.can_be_judged():
                pairs.append((ours.values, theirs.values))
        if not pairs:
            return None
        rng, means = random.Random(1), []
        for _ in range(RESAMPLINGS):
            logs = 0.0
            for ours, theirs in pairs:
                drawn = rng.choices(range(min(len(ours), len(theirs))), k=len(ours))
                logs += math.log(statistics.median(ours[i] for i in drawn)
                                 / statistics.median(theirs[i] for i in drawn))
            means.append(math.exp(logs / len(pairs)))
        means.sort()
        return means[RESAMPLINGS // 20], means[-RESAMPLINGS // 20]

    def best_single_peer(self, cases, field="wall_s"):
        """The one peer with the lowest geometric mean over all of `cases`, or None."""
        means = {p: self.mean_ratio(p, self.peers[0], cases, field) for p in self.peers}
        means = {p: mean for p, mean in means.items() if not math.isnan(mean)}
        return min(means, key=means.get, default=None)

    def rank(self, case, field="wall_s"):
        """The subject against the best peer of this case: "faster", "slower", "equal" (not told
        apart), "noisy" (not told apart, and one of the two spreads too far to say so) or "unknown"
        (too few rounds)."""
        ours, (_, best) = self.figure(case, self.subject, field), self.best_peer(case, field)
        if not ours or not best or not ours.can_be_judged() or not best.can_be_judged():
            return "unknown"
        if ours.q3 < best.q1:
            return "faster"
        if ours.q1 > best.q3:
            return "slower"
        return "noisy" if ours.is_noisy() or best.is_noisy() else "equal"


# --- the targets ----------------------------------------------------------------------------------

MET, MISSED, UNCLEAR = "met", "missed", "unclear"


def judge_mean(table, name, base, cases, limit, field="wall_s"):
    value = table.mean_ratio(table.subject, base, cases, field) if base else math.nan
    interval = table.mean_ratio_interval(table.subject, base, cases, field) if base else None
    verdict = MET if value <= limit else MISSED
    if interval is None or math.isnan(value) or interval[0] <= limit < interval[1]:
        verdict = UNCLEAR
    return {"target": name, "against": base, "limit": limit, "value": round(value, 4),
            "interval": interval and [round(v, 4) for v in interval], "verdict": verdict,
            "cases": len(cases)}


def judge_each(table, name, cases, limit):
    """No case slower than `limit` times its best peer: missed by those that are even if the upper
    half of their own rounds and the lower half of the peer's are left out."""
    above, missed, worst, can_be_judged = [], [], 0.0, True
    for case in cases:
        ours, (_, best) = table.figure(case, table.subject), table.best_peer(case)
        if not ours or not best:
            can_be_judged = False
            continue
        can_be_judged = can_be_judged and ours.can_be_judged() and best.can_be_judged()
        ratio = ours.median / best.median
        worst = max(worst, ratio)
        if ratio <= limit:
            continue
        above.append([case, round(ratio, 3)])
        if ours.can_be_judged() and ours.q1 / best.q3 > limit:
            missed.append([case, round(ratio, 3)])
    verdict = MISSED if missed else MET if can_be_judged and not above else UNCLEAR
    return {"target": name, "against": "best peer of each", "limit": limit,
            "value": round(worst, 4), "interval": None, "verdict": verdict, "cases": len(cases),
            "missed": sorted(missed, key=lambda m: -m[1]),
            "unclear": sorted((a for a in above if a not in missed), key=lambda m: -m[1])}


def judge(table):
    """The targets of the project, as far as this result has what they need."""
    own, real, every = table.names("own"), table.names("real"), table.names()
    verdicts = []
    if not table.subject or not table.peers:
        return verdicts
    if own:
        verdicts.append(judge_mean(table, "own programs, time", table.best_single_peer(own), own,
                                   0.90))
        if "mimalloc" in table.peers:
            verdicts.append(judge_mean(table, "own programs, time", "mimalloc", own, 0.85))
        verdicts.append(judge_each(table, "each own program, time", own, 1.05))
    if real:
        verdicts.append(judge_mean(table, "real programs, time", table.best_single_peer(real), real,
                                   1.00))
        verdicts.append(judge_each(table, "each real program, time", real, 1.03))
    if every:
        if "mimalloc" in table.peers:
            verdicts.append(judge_mean(table, "peak memory", "mimalloc", every, 0.70, "peak_kib"))
        smallest = table.best_single_peer(every, "peak_kib")
        verdicts.append(judge_mean(table, "peak memory", smallest, every, 0.85, "peak_kib"))
    return verdicts
