"""Finds libslabmalloc.so, and asks it for its options."""

import json
import os
import pathlib
import re
import subprocess

from slabmalloc_lib.paint import paint

VERSION = "0.1.0"
NAME = "libslabmalloc.so"


class Refused(Exception):
    """What the user asked for cannot be; the message says why."""


def find(given):
    """The library's path: `given`, $SLABMALLOC_LIBRARY, installed, or built in the source tree."""
    root = pathlib.Path(__file__).resolve().parents[2]
    for path, who in ((given, "--library"), (os.environ.get("SLABMALLOC_LIBRARY"),
                                             "SLABMALLOC_LIBRARY")):
        if path:
            if not os.path.isfile(path):
                raise Refused(f"{who}: {path} is not a file")
            return os.path.abspath(path)
    if (root / "CMakeLists.txt").is_file(): # in the source tree, not installed
        places = [root / "build" / "release", root / "build" / "try", root / "build"]
    else:
        libraries = root.parent / "lib"
        places = [libraries, *sorted(libraries.glob("*-linux-gnu*")), root.parent / "lib64"]
    for place in places:
        if (place / NAME).is_file():
            return str(place / NAME)
    raise Refused(f"no {NAME} is installed or built beside this command: name one by --library")


def say(path, options):
    """What the library says to a value of SLABMALLOC_OPTIONS, in a program that does nothing."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("SLABMALLOC_")}
    environment.update(LD_PRELOAD=path, SLABMALLOC_OPTIONS=options)
    done = subprocess.run(["/bin/true"], env=environment, capture_output=True, text=True,
                          check=False)
    return done.stdout + done.stderr


def ask_help(path):
    """The library's table of options and presets, as text."""
    text = say(path, "help")
    if not text.startswith("slabmalloc "):
        raise Refused(f"{path} does not say what its options are: "
                      f"{text.strip().splitlines()[-1] if text.strip() else 'it says nothing'}")
    return text


def parse_help(text):
    """(options, presets): lists of dictionaries, in the library's order."""
    options, presets = [], []
    body, _, preset_text = text.partition("\npresets:")
    for match in re.finditer(r"^(\w+)=(\S*) \(from [^)]*\)\n"
                             r"    (.*?); default (.*?); (.*)\n    (.*)$", body, re.M):
        name, _, values, default, when, purpose = match.groups()
        options.append({"name": name, "values": values, "default": default,
                        "live": when.startswith("may change"), "purpose": purpose})
    for match in re.finditer(r"^(\w+): (.*)\n    (.*)$", preset_text, re.M):
        name, purpose, row = match.groups()
        presets.append({"name": name, "purpose": purpose, "row": row if "=" in row else ""})
    return options, presets


def tables(given):
    return parse_help(ask_help(find(given)))


def print_options(arguments):
    options, presets = tables(arguments.library)
    if arguments.name:
        options = [option for option in options if option["name"] == arguments.name]
        presets = [preset for preset in presets if preset["name"] == arguments.name]
        if not options and not presets:
            raise Refused(f"no option or preset is called {arguments.name}")
    if arguments.json:
        print(json.dumps({"options": options, "presets": presets}, indent=2))
        return 0
    for option in options:
        when = "" if option["live"] else paint(", fixed at the start", "dim")
        print(f"{paint(option['name'], 'bold')}={option['default']}   "
              f"{paint(option['values'], 'cyan')}{when}\n    {option['purpose']}")
    for preset in presets:
        print(f"{paint('preset=' + preset['name'], 'bold')}   {preset['purpose']}\n"
              f"    {paint(preset['row'] or 'all options as they are by default', 'cyan')}")
    return 0
