"""The leak reports that the library prints, sorted and summed up."""

import json
import re

from slabmalloc_lib.paint import paint, size
from slabmalloc_lib.symbols import ADDRESS, Symbolizer, open_input, print_frame

_FIRST = re.compile(r"slabmalloc: leaks: (.*)")
_BLOCKS = re.compile(r"slabmalloc:   ([\d,]+) blocks? of ([\d,]+) bytes?(?: each)?, (.*)")
_FRAME = re.compile(r"slabmalloc:     " + ADDRESS.pattern)


def _number(text):
    return int(text.replace(",", ""))


def parse(lines):
    """A list of reports: each has its first line, its groups, and lines not understood. The
    library's lines stand among those of the program."""
    reports, group = [], None
    for line in lines:
        line = line.rstrip("\n")
        first, blocks, frame = _FIRST.match(line), _BLOCKS.match(line), _FRAME.match(line)
        if first:
            reports.append({"summary": first[1], "groups": [], "notes": []})
            group = None
        elif not reports or not line.startswith("slabmalloc:   "):
            group = None if line.startswith("slabmalloc:") else group
        elif blocks:
            count, each = _number(blocks[1]), _number(blocks[2])
            group = {"blocks": count, "block_bytes": each, "bytes": count * each,
                     "how": re.sub(r", called from$", "", blocks[3]), "frames": []}
            reports[-1]["groups"].append(group)
        elif frame and group is not None:
            group["frames"].append({"address": frame[1], "file": frame[2], "offset": frame[3]})
        else:
            reports[-1]["notes"].append(line[len("slabmalloc:   "):])
    return reports


def _has_leaks(report):
    return bool(report["groups"]) or bool(re.match(r"[1-9]", report["summary"]))


def _add_symbols(reports, directories):
    symbolizer = Symbolizer(directories)
    for report in reports:
        for group in report["groups"]:
            for frame in group["frames"]:
                symbolizer.name(frame)
    symbolizer.close()


def _print_report(report):
    print(paint("leaks: ", "bold") + report["summary"])
    for group in report["groups"]:
        plural = "" if group["blocks"] == 1 else "s"
        print(f"\n{paint(size(group['bytes']), 'red')} in {group['blocks']:,} block{plural} of "
              f"{group['block_bytes']:,}, {group['how']}")
        for frame in group["frames"]:
            print_frame(frame, f"{frame['file']}+{frame['offset']}")
    for note in report["notes"]:
        print(f"\n{note}")


def print_leaks(arguments):
    with open_input(arguments.file) as lines:
        reports = parse(lines)
    _add_symbols(reports, arguments.search)
    key = "bytes" if arguments.sort == "bytes" else "blocks"
    for report in reports:
        report["groups"].sort(key=lambda group: -group[key])
    if arguments.json:
        print(json.dumps({"reports": reports}, indent=2))
    else:
        if not reports:
            print("no leak report")
        for report in reports:
            _print_report(report)
    return 1 if any(_has_leaks(report) for report in reports) else 0
