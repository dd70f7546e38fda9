"""The cases: programs of our own (programs/cases.toml) and real ones (real/cases.toml)."""

import dataclasses
import fnmatch
import re
import shutil
import tomllib

from benchlib import build


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    group: str  # "own" or "real"
    about: str
    commands: dict  # {"full": [...], "quick": [...]}, with {data}, {run} and {here} in them
    threads: int = 1
    package: str = ""
    prepare: str = ""
    runner: str = ""
    is_ordered: bool = True
    amounts: dict = dataclasses.field(default_factory=dict)

    def command(self, size, run):
        """`run`: an empty folder."""
        return [fill(part, **places(size, run)) for part in self.commands[size]]

    def is_own(self):
        return self.group == "own"

    def program(self):
        return self.commands["full"][0]

    def missing(self):
        """Why the case cannot be run here, or nothing."""
        if self.is_own() or shutil.which(self.program(), path=build.clean_environment()["PATH"]):
            return ""
        return f"{self.program()} is missing: apt-get install {self.package}"


def places(size, run):
    return {"data": build.BUILD / "data" / size, "run": run, "here": build.REAL}


def fill(text, **values):
    """{name} is replaced, {{ and }} are braces; any other brace is left alone."""
    text = re.sub(r"\{(\w+)\}", lambda m: str(values.get(m[1], m[0])), text)
    return text.replace("{{", "{").replace("}}", "}")


def own_case(name, entry):
    program = str(build.BUILD / entry["program"])
    commands = {size: [program, *entry[size].split()] for size in ("full", "quick")}
    return Case(name, "own", entry["about"], commands, entry.get("threads", 1))


def real_case(name, entry):
    amounts = {size: entry[size] for size in ("full", "quick")}
    commands = {size: [part.replace("{n}", str(n)) for part in entry["command"]]
                for size, n in amounts.items()}
    return Case(name, "real", entry["about"], commands, entry.get("threads", 1),
                entry["package"], entry.get("prepare", ""), entry.get("runner", ""),
                not entry.get("unordered", False), amounts)


def load():
    result = []
    for make, folder in ((own_case, build.PROGRAMS), (real_case, build.REAL)):
        with (folder / "cases.toml").open("rb") as file:
            result += [make(name, entry) for name, entry in tomllib.load(file).items()]
    return result


def choose(cases, patterns):
    """Those whose name or group matches one of the patterns ("pass-*", "real"), all if none."""
    def is_chosen(case):
        return any(fnmatch.fnmatch(name, pattern)
                   for pattern in patterns for name in (case.name, case.group))
    return [case for case in cases if not patterns or is_chosen(case)]
