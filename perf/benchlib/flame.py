"""A flame graph as SVG: stacks merged from the root up; the width of a frame is its share of the
samples. Frames are sorted by name, not by time. The idea is Brendan Gregg's (2011)."""

from xml.sax.saxutils import escape

WIDTH, ROW, TOP = 1200, 17, 44
NARROWEST = 0.6  # pixels; what is narrower is left out

STYLE = """
  text { font: 11px ui-monospace, Menlo, Consolas, monospace; pointer-events: none }
  .page { fill: #ffffff } .ink { fill: #1f2328 } .frame { fill: #1f2328 }
  rect { stroke: #ffffff; stroke-width: .5 }
  .allocator { fill: #7fd1b5 } .kernel { fill: #f4b183 } .program { fill: #bcd0ee }
  .library { fill: #e6dca4 } .root { fill: #d8dee4 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .ink { fill: #e6edf3 } rect { stroke: #0d1117 }
  }
"""
KINDS = ("allocator", "kernel", "program", "library")


def merge(stacks):
    """stacks: {((kind, name), ... from the root): samples} -> tree of [samples, {frame: child}]."""
    root = [0, {}]
    for stack, count in stacks.items():
        node = root
        node[0] += count
        for frame in stack:
            node = node[1].setdefault(frame, [0, {}])
            node[0] += count
    return root


def depth_of(node):
    return 1 + max(map(depth_of, node[1].values()), default=0)


def draw(stacks, title):
    root = merge(stacks)
    if not root[0]:
        return ""
    depth = depth_of(root)
    height = TOP + depth * ROW + 34
    parts = []

    def frame(node, kind, name, x, level):
        width = WIDTH * node[0] / root[0]
        if width < NARROWEST:
            return
        y = height - 30 - (level + 1) * ROW
        share = f"{name}: {node[0]} samples, {node[0] / root[0]:.1%}"
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW}" class="{kind}">'
                     f"<title>{escape(share)}</title></rect>")
        letters = int(width / 6.7) - 1
        if letters >= 3:
            shown = name if len(name) <= letters else name[:letters - 2] + ".."
            parts.append(f'<text x="{x + 3:.1f}" y="{y + 12}" class="frame">{escape(shown)}</text>')
        for (child_kind, child_name), child in sorted(node[1].items()):
            frame(child, child_kind, child_name, x, level + 1)
            x += WIDTH * child[0] / root[0]

    frame(root, "root", "all", 0.0, 0)
    legend = []
    for i, kind in enumerate(KINDS):
        x = 12 + 110 * i
        legend.append(f'<rect x="{x}" y="{height - 22}" width="14" height="14" class="{kind}"/>'
                      f'<text x="{x + 20}" y="{height - 11}" class="ink">{kind}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}">\n<style>{STYLE}</style>\n'
            f'<rect class="page" width="{WIDTH}" height="{height}"/>\n'
            f'<text x="12" y="26" class="ink">{escape(title)}</text>\n'
            + "\n".join(parts + legend) + "\n</svg>\n")
