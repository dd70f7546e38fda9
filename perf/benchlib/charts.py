"""Two charts as SVG: time.svg and memory.svg. A row is a case; its bar is slabmalloc's median as a
ratio to mimalloc's (or to the best peer's, if mimalloc was not measured), to the left of 1 if less,
to the right if more, on a logarithmic axis; the marks are the peers.

Written by hand: no font, script or style from elsewhere. Colours are given for a light page, and
again for a dark one, which `prefers-color-scheme` selects."""

import math
from xml.sax.saxutils import escape

from benchlib import results, stats

WIDTH, LEFT, RIGHT, ROW = 860, 150, 70, 20
# Ratios beyond are drawn at the edge, with an arrow.
LOWEST, HIGHEST = 1 / 4, 4.0
TICKS = (0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 4.0)
MARKS = {"mimalloc": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "jemalloc": "M-3.5-3.5h7v7h-7z",
         "tcmalloc": "M0-4.5L4.5 3.5h-9z", "glibc": "M0-5L5 0L0 5L-5 0z"}
OTHER_MARK = "M-1-5h2v10h-2z"

STYLE = """
  text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .page { fill: #ffffff } .ink { fill: #1f2328 } .dim { fill: #59636e } .title { font-size: 16px }
  .strong { font-weight: 600 } .grid { stroke: #d8dee4 } .one { stroke: #59636e }
  .good { fill: #1a9e77 } .bad { fill: #d9730d } .doubt { opacity: .45 }
  .mimalloc { fill: #6639ba } .jemalloc { fill: #bf3989 } .tcmalloc { fill: #0969da }
  .glibc { fill: #6e7781 } .other { fill: #9a6700 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .ink { fill: #e6edf3 } .dim { fill: #9198a1 } .grid { stroke: #2d333b }
    .one { stroke: #9198a1 } .good { fill: #2fbf93 } .bad { fill: #f0883e }
    .mimalloc { fill: #b392f0 } .jemalloc { fill: #f778ba } .tcmalloc { fill: #58a6ff }
    .glibc { fill: #aab4be } .other { fill: #d4a72c }
  }
"""


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, text, classes, anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{classes}" '
                          f'text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, x1, y1, x2, y2, classes):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'class="{classes}"/>')

    def bar(self, x1, x2, y, height, classes, title):
        self.parts.append(f'<rect x="{min(x1, x2):.1f}" y="{y:.1f}" width="{abs(x2 - x1):.1f}" '
                          f'height="{height}" rx="2" class="{classes}"><title>{escape(title)}'
                          "</title></rect>")

    def mark(self, x, y, name, title):
        path, classes = MARKS.get(name, OTHER_MARK), name if name in MARKS else "other"
        self.parts.append(f'<path transform="translate({x:.1f} {y:.1f})" d="{path}" '
                          f'class="{classes}"><title>{escape(title)}</title></path>')

    def document(self, height, label):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">\n'
                f"<style>{STYLE}</style>\n"
                f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def place(ratio):
    """Where a ratio lies on the axis."""
    clipped = min(max(ratio, LOWEST), HIGHEST)
    share = math.log(clipped / LOWEST) / math.log(HIGHEST / LOWEST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def rows_of(table, base, field):
    """(label, {allocator: ratio}, kind of row) from top to bottom."""
    def ratios_of(case):
        against = base or table.best_peer(case, field)[0]
        return {a: table.ratio(case, a, against, field) for a in table.allocators}

    def means_of(cases):
        against = base or table.best_single_peer(cases, field)
        return {a: table.mean_ratio(a, against, cases, field) for a in table.allocators if against}

    groups = [(g, table.names(g)) for g in ("own", "real") if table.names(g)]
    rows = []
    if len(groups) > 1:
        rows.append(("everything", means_of(table.names()), "mean"))
    for group, cases in groups:
        rows.append((f"{'patterns' if group == 'own' else 'real programs'}", means_of(cases),
                     "mean"))
        rows += [(case, ratios_of(case), "case") for case in cases]
    return rows


def draw_axis(drawing, top, bottom):
    for tick in TICKS:
        x = place(tick)
        drawing.line(x, top, x, bottom, "one" if tick == 1 else "grid")
        drawing.text(x, top - 6, f"{tick:g}×", "dim", "middle")


def draw_row(drawing, table, y, row, field):
    label, ratios, kind = row
    ratios = {name: ratio for name, ratio in ratios.items() if ratio and not math.isnan(ratio)}
    ours = ratios.get(table.subject)
    height = 13 if kind == "mean" else 9
    drawing.text(LEFT - 10, y + 4, label, "ink strong" if kind == "mean" else "ink", "end")
    if ours:
        classes = "good" if ours <= 1 else "bad"
        if kind == "case" and field == "wall_s" and table.rank(label) in ("noisy", "unknown"):
            classes += " doubt"
        drawing.bar(place(1.0), place(ours), y - height / 2, height, classes,
                    f"{label}: {table.subject} {ours:.2f}×")
        arrow = "◂ " if ours < LOWEST else "▸ " if ours > HIGHEST else ""
        drawing.text(WIDTH - 14, y + 4, f"{arrow}{ours:.2f}×",
                     "ink strong" if kind == "mean" else "ink", "end")
    for name in table.peers:
        if name in ratios:
            drawing.mark(place(ratios[name]), y, name, f"{label}: {name} {ratios[name]:.2f}×")


def draw_legend(drawing, table, y):
    x = LEFT
    drawing.bar(x, x + 22, y - 9, 9, "good", "less")
    drawing.bar(x + 24, x + 46, y - 9, 9, "bad", "more")
    drawing.text(x + 52, y, table.subject, "ink strong")
    x += 140
    for name in table.peers:
        drawing.mark(x, y - 4, name, name)
        drawing.text(x + 9, y, name, "ink")
        x += 90


def draw(table, field, title):
    base = "mimalloc" if "mimalloc" in table.peers else None
    rows = rows_of(table, base, field)
    drawing = Drawing()
    drawing.text(14, 26, title, "ink title strong")
    against = base or "the best peer"
    noise = "; pale: too noisy to tell from the best peer" if field == "wall_s" else ""
    drawing.text(14, 45, f"{against} = 1, less is better; medians of {table.result['rounds']} "
                 f"rounds, {table.result['size']} sizes; thick rows are geometric means{noise}",
                 "dim")
    drawing.text(14, 62, results.describe(table.result)[0], "dim")
    draw_legend(drawing, table, 86)
    top = 116
    draw_axis(drawing, top, top + len(rows) * ROW + 6)
    y = top + ROW / 2 + 3
    for row in rows:
        draw_row(drawing, table, y, row, field)
        y += ROW
    return drawing.document(int(y + 6), title)


def write(result, folder, by="wall"):
    """Writes both charts; returns their paths."""
    table = stats.Table(result, by)
    if not table.subject or not table.peers or not table.cases:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    kind = "Time" if by == "wall" else "CPU time"
    for name, field, title in (("time", "wall_s", kind), ("memory", "peak_kib", "Peak memory")):
        path = folder / f"{name}.svg"
        path.write_text(draw(table, field, f"{title}: {table.subject} and its peers"))
        written.append(path)
    return written
