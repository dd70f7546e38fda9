"""What perf/scaling and perf/costs share: runs of one program that are not cases of perf/bench."""

import argparse
import pathlib
import sys

from benchlib import allocators, build, measure, results


def parse(doc, name):
    parser = argparse.ArgumentParser(description=doc,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer steps")
    parser.add_argument("--rounds", type=int, help="rounds (5, quick 1)")
    parser.add_argument("--only", metavar="PART", help="only this part of it")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        default=build.BUILD / "results" / f"{name}.json")
    allocators.add_options(parser)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    build.build_programs()
    try:
        wanted, complaints = allocators.select(arguments)
    except allocators.NotUsable as reason:
        sys.exit(f"perf: {reason}")
    for complaint in complaints:
        print(f"skipped: {complaint}", file=sys.stderr)
    result = results.new(name, "quick" if arguments.quick else "full", wanted)
    result |= {"rounds": arguments.rounds, "skipped": complaints, "failures": []}
    return arguments, wanted, result


def run(program, arguments, allocator, repeat=1, preload=True):
    """(samples, what it printed), with the allocator's options. A program that fails ends the
    tool."""
    library = allocator.path if preload else ""
    folder = measure.fresh_folder()
    path = program if program.startswith("/") else str(build.BUILD / program)
    output = folder / "output"
    with output.open("wb") as stdout:
        launcher = measure.Launcher([path, *map(str, arguments)], library, folder, repeat, stdout,
                                    allocator.environment())
        try:
            samples = launcher.finish()
        except measure.ProgramFailure as reason:
            sys.exit(f"perf: FAILED: {program} {arguments} with {allocator.name}: {reason}")
        except BaseException:
            launcher.kill()
            raise
    return samples, output.read_text(errors="replace")


def word_after(text, name):
    """The number after `name` in what a program printed."""
    words = text.split()
    return float(words[words.index(name) + 1])


def show(text):
    """What is being done, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()


def turns(wanted, rounds, steps):
    """(step, allocator) of all rounds: in each, every step under every allocator, in turn."""
    for number in range(rounds):
        for step in steps:
            at = number % len(wanted)
            for allocator in wanted[at:] + wanted[:at]:
                show(f"round {number + 1} of {rounds}: {' '.join(map(str, step))} · "
                     f"{allocator.name}")
                yield step, allocator
    show("")
