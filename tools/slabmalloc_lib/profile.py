"""Heap profiles that the library wrote (option profile): the call stacks that hold most memory."""

import bisect
import json
import re

from slabmalloc_lib.library import Refused
from slabmalloc_lib.paint import paint, size
from slabmalloc_lib.symbols import Symbolizer, open_input, print_frame

_SUMS = r" *(\d+): *(\d+) \[ *(\d+): *(\d+)\] @"
_HEAD = re.compile(r"heap profile:" + _SUMS + r" heapprofile$")
_STACK = re.compile(_SUMS + r"((?: 0x[0-9a-f]+)*)$")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ +(\S.*)$")
_FIELDS = ("live_blocks", "live_bytes", "allocated_blocks", "allocated_bytes")


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help="the profile")
    parser.add_argument("--allocated", action="store_true",
                        help="all that was allocated; by default, what lives")
    parser.add_argument("--sort", choices=["bytes", "count"], default="bytes",
                        help="largest first by bytes (default) or by number of blocks")
    parser.add_argument("--base", metavar="FILE",
                        help="an earlier profile of the same process: only what came since")
    parser.add_argument("--top", metavar="N", type=int, default=10,
                        help="so many call stacks (10); 0: all")


def read(name):
    """({frames: [four sums]}, mappings sorted by address)"""
    stacks, mappings = {}, []
    with open_input(name) as lines:
        lines = [line.rstrip("\n") for line in lines]
    if not lines or not _HEAD.match(lines[0]):
        raise Refused(f"{name} is no heap profile of slabmalloc")
    for line in lines[1:]:
        stack, mapping = _STACK.match(line), _MAPPING.match(line)
        if stack:
            frames = tuple(int(address, 16) for address in stack[5].split())
            stacks[frames] = [int(number) for number in stack.groups()[:4]]
        elif mapping:
            start, end, offset = (int(number, 16) for number in mapping.groups()[:3])
            mappings.append((start, end, offset, mapping[4]))
    return stacks, sorted(mappings)


def _subtract(stacks, base):
    """What has come since; what has gone is less than nothing."""
    zero = [0] * len(_FIELDS)
    return {frames: [now - then for now, then in zip(stacks.get(frames, zero),
                                                     base.get(frames, zero))]
            for frames in {*stacks, *base}}


def _frame(address, mappings, symbolizer):
    """`address` is where the call returns to."""
    place = address - 1
    at = bisect.bisect_right(mappings, (place, float("inf"), 0, "")) - 1
    frame = {"address": hex(place), "file": None, "offset": None, "function": None, "line": None}
    if at >= 0 and place < mappings[at][1] and mappings[at][3].startswith("/"):
        start, _, offset, name = mappings[at]
        frame.update(file=name, offset=hex(place - start + offset))
        symbolizer.name(frame)
    return frame


def _print_stack(stack, blocks, held, total):
    share = f"{100 * held / total:.1f} %" if total else "-"
    plural = "" if blocks == 1 else "s"
    print(f"\n{paint(size(held), 'red')} ({share}) in {blocks:,} block{plural}")
    for frame in stack["frames"]:
        place = f"{frame['file'].rsplit('/', 1)[-1]}+{frame['offset']}" if frame["file"] \
            else frame["address"]
        print_frame(frame, place)


def print_profile(arguments):
    stacks, mappings = read(arguments.file)
    if arguments.base:
        stacks = _subtract(stacks, read(arguments.base)[0])
    first = 2 if arguments.allocated else 0
    key = first + (arguments.sort == "bytes")
    order = sorted((frames for frames in stacks if stacks[frames][key] > 0),
                   key=lambda frames: -stacks[frames][key])
    total = [sum(sums[i] for sums in stacks.values()) for i in range(len(_FIELDS))]
    symbolizer = Symbolizer(arguments.search)
    shown = order[:arguments.top] if arguments.top > 0 else order
    described = [dict(zip(_FIELDS, stacks[frames]),
                      frames=[_frame(address, mappings, symbolizer) for address in frames])
                 for frames in shown]
    symbolizer.close()
    if arguments.json:
        print(json.dumps(dict(zip(_FIELDS, total), stacks=described), indent=2))
        return 0
    what = "allocated" if arguments.allocated else "live"
    places = f"{len(order)} call stack{'' if len(order) == 1 else 's'}"
    print(f"{paint('heap profile:', 'bold')} {size(total[first + 1])} in {total[first]:,} blocks "
          f"{what}, from {places} (estimates)")
    for stack, frames in zip(described, shown):
        _print_stack(stack, stacks[frames][first], stacks[frames][first + 1], total[first + 1])
    if len(order) > len(shown):
        rest = sum(stacks[frames][first + 1] for frames in order[len(shown):])
        print(f"\nand {size(rest)} from {len(order) - len(shown)} more, of {places}")
    return 0
