"""The allocators that are compared: slabmalloc, its peers from Debian, and any others by path."""

import dataclasses
import pathlib
import re
import subprocess

from benchlib import build

SUBJECT = "slabmalloc"
# name: (the packages of Debian 13 and 12 that have it, the file's name). glibc is preloaded as
# well, which changes nothing but for programs that are linked with another allocator, as Debian's
# redis is.
PEERS = {"mimalloc": (("libmimalloc3", "libmimalloc2.0"), r"libmimalloc\.so\.[23]"),
         "jemalloc": (("libjemalloc2",), r"libjemalloc\.so\.2"),
         "tcmalloc": (("libtcmalloc-minimal4t64", "libtcmalloc-minimal4"),
                      r"libtcmalloc_minimal\.so\.4"),
         "glibc": (("libc6",), r"libc\.so\.6")}


@dataclasses.dataclass(frozen=True)
class Allocator:
    name: str
    path: str
    role: str  # "subject"; "peer": counts for the targets; "variant": is measured only
    version: str
    options: str = ""  # slabmalloc's

    def environment(self):
        return {"SLABMALLOC_OPTIONS": self.options} if self.options else {}

    def preloaded(self):
        """All of a program's environment, where launch.c does not preload the library."""
        library = {"LD_PRELOAD": self.path} if self.path else {}
        return build.clean_environment() | self.environment() | library


class NotUsable(Exception):
    """An allocator that is not there, or would not take over malloc."""


def output_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def find_peer(name):
    """The Debian package's library, wherever its architecture's folder is."""
    packages, pattern = PEERS[name]
    paths = [path for package in packages for path in output_of("dpkg", "-L", package).splitlines()]
    paths += re.findall(r"=> (\S+)", output_of("/sbin/ldconfig", "-p"))
    for path in paths:
        if re.search(rf"/{pattern}$", path) and pathlib.Path(path).exists():
            versions = (output_of("dpkg-query", "-W", "-f=${Version}", p) for p in packages)
            return Allocator(name, path, "peer", next(filter(None, versions), "?"))
    raise NotUsable(f"{name} is not installed: apt-get install {' or '.join(packages)}")


def commit():
    """The commit of the tree, with a + if it was changed since."""
    git = ("git", "--no-optional-locks", "-C", str(build.PROJECT))
    name = output_of(*git, "rev-parse", "--short", "HEAD").strip() or "unknown"
    changed = output_of(*git, "status", "--porcelain", "--", "src", "include", "CMakeLists.txt")
    return name + ("+" if changed else "")


def subject(path):
    library = pathlib.Path(path).resolve() if path else build.build_library()
    if not library.exists():
        raise NotUsable(f"{library} does not exist")
    return Allocator(SUBJECT, str(library), "subject", commit())


def given(text, role):
    """name=path of the command line."""
    name, _, path = text.partition("=")
    if not name or not pathlib.Path(path).is_file():
        raise NotUsable(f"not name=path of a library: {text}")
    return Allocator(name, str(pathlib.Path(path).resolve()), role, "given by path")


def with_options(allocator, text):
    """name=option=value,... of the command line."""
    name, _, options = text.partition("=")
    if not name or "=" not in options:
        raise NotUsable(f"not name=option=value: {text}")
    return dataclasses.replace(allocator, name=name, role="variant", version=options,
                               options=options)


def check_takes_over(allocator, program, *arguments):
    """That the dynamic loader binds the program's malloc to the allocator; without this, a run that
    measures another one would look like any other."""
    environment = allocator.preloaded() | {"LD_DEBUG": "bindings", "LD_BIND_NOW": "1"}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True,
                          stdin=subprocess.DEVNULL, check=False, errors="replace")
    if not re.search(rf" to {re.escape(allocator.path)} \[0\]: normal symbol `malloc'",
                     done.stderr):
        raise NotUsable(f"{allocator.path} does not take over malloc in {program}")


def select(arguments):
    """The allocators of a command line: (usable ones, complaints). The subject comes first."""
    wanted = [subject(arguments.library)]
    complaints = []
    for name in PEERS:
        try:
            wanted.append(find_peer(name))
        except NotUsable as reason:
            complaints.append(str(reason))
    wanted += [given(text, "peer") for text in arguments.peer]
    wanted += [given(text, "variant") for text in arguments.variant]
    wanted += [with_options(wanted[0], text)
               for text in [f"{name}=preset={name}" for name in arguments.preset] +
               arguments.options]
    if arguments.allocators:
        names = arguments.allocators.split(",")
        unknown = set(names) - {a.name for a in wanted}
        if unknown:
            raise NotUsable(f"no such allocator: {', '.join(sorted(unknown))}")
        wanted = [a for a in wanted if a.name in names]
    if len({a.name for a in wanted}) < len(wanted):
        raise NotUsable("two allocators have the same name")
    for allocator in wanted:
        check_takes_over(allocator, str(build.BUILD / "pair"), "64", "1")
    return wanted, complaints


def add_options(parser):
    parser.add_argument("--library", metavar="PATH",
                        help="the libslabmalloc.so to measure (build/release)")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH",
                        help="one more peer, which counts for the targets")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=PATH",
                        help="one more library, measured and shown, which does not count")
    parser.add_argument("--preset", action="append", default=[], metavar="NAME",
                        help="slabmalloc with this preset of options, which does not count either")
    parser.add_argument("--options", action="append", default=[],
                        metavar="NAME=OPTION=VALUE,OPTION=VALUE",
                        help="the same with these options, by a name of its own")
    parser.add_argument("--allocators", metavar="NAME,NAME", help="only these")
