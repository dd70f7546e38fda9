"""The course of memory as SVG: a chart for each step of perf/memory that was sampled, a line for
each allocator, what lives as a grey area behind them. No font, script or style from elsewhere."""

import re

from benchlib import allocators, charts, results

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 300, 70, 24, 96, 40
AXES = {"fragmentation": "filled · freed · purged · regrown", "idle": "seconds asleep",
        "flow": "share of the work", "evict": "phases"}

STYLE = charts.STYLE + """
  polyline { fill: none; stroke-width: 1.6 } .live { fill: #d8dee4; opacity: .6 }
  polyline.slabmalloc { stroke: #1a9e77; stroke-width: 3 } polyline.mimalloc { stroke: #6639ba }
  polyline.jemalloc { stroke: #bf3989 } polyline.tcmalloc { stroke: #0969da }
  polyline.glibc { stroke: #6e7781 } polyline.other { stroke: #9a6700 }
  polyline.mimalloc, polyline.jemalloc, polyline.tcmalloc, polyline.glibc { fill: none }
  @media (prefers-color-scheme: dark) {
    .live { fill: #2d333b } polyline.slabmalloc { stroke: #2fbf93 }
    polyline.mimalloc { stroke: #b392f0 } polyline.jemalloc { stroke: #f778ba }
    polyline.tcmalloc { stroke: #58a6ff } polyline.glibc { stroke: #aab4be }
  }
"""


def round_up(value):
    """A round number that is not below: the end of the axis."""
    step = 1
    while step * 10 <= value:
        step *= 10
    return next(step * n for n in (1, 2, 4, 6, 8, 10, 20) if step * n >= value)


class Frame:
    """Where values lie."""

    def __init__(self, runs):
        samples = [s for run in runs.values() for s in run["samples"]]
        self.last = max(s[0] for s in samples) or 1
        self.most = round_up(max(max(s[1], s[2]) for s in samples))

    def point(self, at, mib):
        x = LEFT + at / self.last * (WIDTH - LEFT - RIGHT)
        y = TOP + (1 - mib / self.most) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"


def draw_live(drawing, frame, samples):
    points = [frame.point(s[0], s[2]) for s in samples]
    ends = [frame.point(samples[-1][0], 0), frame.point(samples[0][0], 0)]
    drawing.parts.append(f'<polygon class="live" points="{" ".join(points + ends)}"/>')


def draw_grid(drawing, frame):
    for part in range(5):
        mib = frame.most * part / 4
        y = TOP + (1 - part / 4) * (HEIGHT - TOP - BOTTOM)
        drawing.line(LEFT, y, WIDTH - RIGHT, y, "grid")
        drawing.text(LEFT - 8, y + 4, f"{mib:g}", "dim", "end")
        at = frame.last * part / 4
        x = LEFT + part / 4 * (WIDTH - LEFT - RIGHT)
        drawing.text(x, HEIGHT - 20, f"{at:.3g}", "dim", "middle")


def draw(result, part, label, runs):
    drawing = charts.Drawing()
    frame = Frame(runs)
    drawing.text(14, 26, f"{part}: {label}", "ink title strong")
    drawing.text(14, 45, f"MiB resident, less is better; {AXES[part]}; grey: what lives", "dim")
    drawing.text(14, 62, results.describe(result)[0], "dim")
    draw_live(drawing, frame, next(iter(runs.values()))["samples"])
    draw_grid(drawing, frame)
    x = LEFT
    for name, run in sorted(runs.items(), key=lambda item: item[0] == allocators.SUBJECT):
        known = name if name in (*allocators.PEERS, allocators.SUBJECT) else "other"
        points = " ".join(frame.point(s[0], s[1]) for s in run["samples"])
        drawing.parts.append(f'<polyline class="{known}" points="{points}"/>')
        drawing.parts.append(f'<polyline class="{known}" points="{x},80 {x + 22},80"/>')
        drawing.text(x + 28, 84, name, "ink strong" if name == allocators.SUBJECT else "ink")
        x += 120
    text = drawing.document(HEIGHT, f"{part}: {label}")
    return text.replace(f"<style>{charts.STYLE}</style>", f"<style>{STYLE}</style>")


def write(result, folder):
    """Writes the charts of all sampled steps of more than one allocator; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for part, found in result["samples"].items():
        for label, runs in found.items():
            runs = {name: run for name, run in runs.items() if run.get("samples")}
            if part not in AXES or len(runs) < 2:
                continue
            name = re.sub(r"[^a-z0-9]+", "-", f"{part} {label}".lower()).strip("-")
            path = folder / f"{name}.svg"
            path.write_text(draw(result, part, label, runs))
            written.append(path)
    return written
