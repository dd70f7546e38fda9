"""The tables on the terminal."""

import math
import sys

from benchlib import results, stats

COLOURS = {"good": "32", "bad": "31", "dim": "2", "bold": "1", "doubt": "33"}
WORDS = {"faster": ("faster", "good"), "slower": ("slower", "bad"), "equal": ("equal", "dim"),
         "noisy": ("too noisy", "doubt"), "unknown": ("-", "dim")}
VERDICTS = {stats.MET: "good", stats.MISSED: "bad", stats.UNCLEAR: "doubt"}


def paint(text, colour):
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour and sys.stdout.isatty() else text


def ratio_cell(ratio, width=11):
    if ratio is None or math.isnan(ratio):
        return paint(f"{'-':>{width}}", "dim")
    colour = "good" if ratio < 0.97 else "bad" if ratio > 1.03 else None
    return paint(f"{ratio:{width}.2f}", colour)


def amount(value, field):
    if field == "wall_s":
        return f"{value:8.3f} s"
    return f"{value / 1024:7.1f} MiB"


def print_ratios(table, field, title):
    """A row for each case: each allocator's median as a ratio to the best peer's."""
    print(paint(f"\n{title}", "bold"))
    names = table.allocators
    print(f"{'':>16}" + "".join(f"{n[:10]:>11}" for n in names)
          + f"{table.subject or '':>15}{'best peer':>22}   spread")
    for group in ("own", "real"):
        for case in table.names(group):
            best_name, best = table.best_peer(case, field)
            ours = table.figure(case, table.subject, field)
            line = f"{case:>16}"
            for name in names:
                line += ratio_cell(table.ratio(case, name, best_name, field) if best else None)
            line += f"{amount(ours.median, field) if ours else '-':>15}"
            line += f"{amount(best.median, field) + ' ' + best_name if best else '-':>22}"
            if ours:
                line += f"{ours.spread:8.1%}"
            if field == "wall_s" and ours and best:
                word, colour = WORDS[table.rank(case, field)]
                line += "  " + paint(word, colour)
            print(line)
        print_means(table, field, group)
    if table.names("own") and table.names("real"):
        print_means(table, field, None)


def print_means(table, field, group):
    """Geometric means of the ratios to the single peer that is best over the group."""
    cases = table.names(group)
    base = table.best_single_peer(cases, field) if cases else None
    if not base:
        return
    label = {"own": "own programs", "real": "real programs", None: "all"}[group]
    line = paint(f"{label:>16}", "bold")
    for name in table.allocators:
        line += ratio_cell(table.mean_ratio(name, base, cases, field))
    print(line + paint(f"   geometric means, {base} = 1", "dim"))


def print_verdicts(table):
    verdicts = stats.judge(table)
    if not verdicts:
        return
    print(paint(f"\nTargets: {table.subject} against its peers", "bold"))
    for v in verdicts:
        interval = "" if not v["interval"] else f" ({v['interval'][0]:.2f}-{v['interval'][1]:.2f})"
        print(f"  {v['target']:<24} vs {v['against'] or 'no peer':<18} at most {v['limit']:.2f}: "
              f"{v['value']:6.3f}{interval:<14} " + paint(v["verdict"], VERDICTS[v["verdict"]]))
        for kind, colour in (("missed", "bad"), ("unclear", "doubt")):
            if v.get(kind):
                listed = ", ".join(f"{case} {ratio:.2f}" for case, ratio in v[kind])
                print(f"      {paint(kind, colour)}: {listed}")


def print_noise(table):
    """What these figures cannot tell."""
    rounds = table.result.get("rounds", 0)
    print(paint("\nNoise", "bold"))
    if rounds < stats.ROUNDS_TO_JUDGE:
        print(f"  {rounds} round(s): nothing is ranked below {stats.ROUNDS_TO_JUDGE}")
    noisy = [c for c in table.names() if table.rank(c) == "noisy"]
    if noisy:
        print(f"  too noisy to rank (intervals overlap and a spread is above "
              f"{stats.NOISY_SPREAD:.0%}): {', '.join(noisy)}")
    samples = [s for by in table.result["samples"].values() for many in by.values() for s in many]
    if samples:
        wall = sum(s["wall_s"] for s in samples)
        others = sum(s["elsewhere"] * s["wall_s"] for s in samples) / wall
        stolen = sum(s["stolen"] * s["wall_s"] for s in samples) / wall
        line = f"  CPU time that went to others meanwhile: {others:.1%}; to the host: {stolen:.1%}"
        if others + stolen > stats.BUSY_SHARE:
            line = paint(line + "\n  The machine was not free: judge nothing by this run, or "
                         "render it --by cpu", "doubt")
        print(line)


def print_details(table):
    print(paint("\nAll figures: medians (wall also minimum and spread)", "bold"))
    print(f"{'':>16}{'':>11}{'wall':>9}{'min':>9}{'spread':>8}{'user':>9}{'system':>9}"
          f"{'peak MiB':>10}{'faults':>10}{'rounds':>8}")
    for case in table.names():
        for name in table.allocators:
            wall = stats.Table(table.result).figure(case, name)
            if not wall:
                continue

            def median(field, case=case, name=name):
                return table.figure(case, name, field).median

            print(f"{case:>16}{name[:10]:>11}{wall.median:9.3f}{wall.minimum:9.3f}"
                  f"{wall.spread:8.1%}{median('user_s'):9.3f}{median('system_s'):9.3f}"
                  f"{median('peak_kib') / 1024:10.1f}{median('minor_faults'):10.0f}"
                  f"{len(wall.values):8}")


def print_all(result, by="wall", with_details=False):
    table = stats.Table(result, by)
    for line in results.describe(result):
        print(line)
    print(f"{result['size']} sizes, {result.get('rounds', 0)} rounds, commit {result['commit']}")
    if not table.cases:
        print("no samples")
        return
    if table.peers:
        kind = "Time" if by == "wall" else "CPU time (user and system)"
        print_ratios(table, "wall_s", f"{kind}: medians as ratios to the best peer of the case")
        print_ratios(table, "peak_kib", "Peak memory, the same way")
    if with_details or not table.peers:
        print_details(table)
    print_verdicts(table)
    print_noise(table)
    for skipped in result.get("skipped", []):
        print(paint(f"skipped: {skipped}", "doubt"))
    for failure in result.get("failures", []):
        print(paint(f"FAILED: {failure}", "bad"))
