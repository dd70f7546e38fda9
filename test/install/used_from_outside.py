#!/usr/bin/env python3
"""Protects what a user of slabmalloc has after `cmake --install`, tried from outside: the layout;
CMake's find_package, shared and static, from C and from C++; pkg-config, also after the prefix was
moved and with a library folder of two levels; -static and -static-pie; the header in every dialect;
a library without the override beside the C library's malloc; the sources as a part of another
build; the Debian package. Every program proves that it runs on slabmalloc (see sources/).

    used_from_outside.py --source DIR --build DIR --cmake CMAKE --cc CC --cxx CXX --version X.Y.Z
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

SOURCES = pathlib.Path(__file__).resolve().parent / "sources"
WARNINGS = ("-Wall", "-Wextra", "-pedantic", "-Werror")


class Failure(Exception):
    pass


def run(*command, environment=None):
    """The command's standard output; a Failure with all it said if it does not succeed."""
    command = [str(word) for word in command]
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("LD_", "PKG_CONFIG", "CMAKE_", "SLABMALLOC"))
            and k not in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "DESTDIR")}
    done = subprocess.run(command, env={**kept, **(environment or {})}, capture_output=True,
                          text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)}\nreturned {done.returncode}\n"
                      f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_output(output, wanted):
    expect(output.strip() == wanted, f"printed {output!r}, not {wanted!r}")


def exported(library):
    return {line.split()[2] for line in run("nm", "-D", "--defined-only", library).splitlines()}


class Checks:
    """Each method is one check; they run in this order, and all of them."""

    def __init__(self, arguments, folder):
        self.source, self.cmake = arguments.source, arguments.cmake
        self.cc, self.cxx, self.version = arguments.cc, arguments.cxx, arguments.version
        self.build, self.folder = arguments.build, folder
        self.prefix = folder / "prefix"
        self.bare = folder / "bare"  # the installation without the override
        self.bare_library = "lib/of_machine"

    # --- helpers ---

    def pkg_config(self, prefix, *arguments, library="lib"):
        found = run("pkg-config", *arguments, "slabmalloc",
                    environment={"PKG_CONFIG_PATH": str(prefix / library / "pkgconfig")})
        return found.split()

    def configure(self, source, build, *settings):
        run(self.cmake, "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_C_COMPILER={self.cc}", f"-DCMAKE_CXX_COMPILER={self.cxx}", *settings)

    def consumer(self, language, prefix):
        build = self.folder / f"consumer_{language}_{prefix.name}"
        self.configure(SOURCES.parent / "consumer", build, f"-DLANGUAGE={language}",
                       f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF")
        run(self.cmake, "--build", build)
        return build

    def with_pkg_config(self, prefix):
        program = self.folder / f"pkg_config_{prefix.name}"
        flags = self.pkg_config(prefix, "--cflags", "--libs")
        expect(all(str(prefix) in f for f in flags if f.startswith(("-L", "-I"))),
               f"pkg-config names other places than {prefix}: {flags}")
        run(self.cc, "-D_GNU_SOURCE", "-DNAME_OF_MALLOC", "-fno-builtin", "-std=gnu11", *WARNINGS,
            SOURCES / "runs_on_slabmalloc.c", *flags, "-o", program)
        expect_output(run(program, "libslabmalloc.so",
                          environment={"LD_LIBRARY_PATH": str(prefix / "lib")}),
                      "runs on slabmalloc")

    # --- checks ---

    def check_layout(self):
        run(self.cmake, "--install", self.build, "--prefix", self.prefix)
        library, full = self.prefix / "lib", f"libslabmalloc.so.{self.version}"
        soname = "libslabmalloc.so." + self.version.split(".", maxsplit=1)[0]
        for link, target in (("libslabmalloc.so", soname), (soname, full)):
            expect((library / link).is_symlink(), f"{link} is no symbolic link")
            expect(os.readlink(library / link) == target, f"{link} does not lead to {target}")
        expect(not (library / full).is_symlink(), f"{full} is a link")
        files = {p.relative_to(self.prefix).as_posix() for p in self.prefix.rglob("*")
                 if not p.is_dir()}
        package = "lib/cmake/slabmalloc/slabmalloc-"
        wanted = {f"lib/{n}" for n in ("libslabmalloc.so", soname, full, "libslabmalloc.a",
                                       "pkgconfig/slabmalloc.pc")}
        parts = {f"share/slabmalloc/slabmalloc_lib/{p.name}"
                 for p in pathlib.Path(self.source, "tools", "slabmalloc_lib").glob("*.py")}
        expect(len(parts) > 3, "the source has no parts of the command")
        wanted |= parts | {"bin/slabmalloc", "share/man/man1/slabmalloc.1",
                           "share/man/man3/slabmalloc.3", "share/doc/slabmalloc/copyright"}
        wanted |= {package + n for n in ("config.cmake", "config-version.cmake", "targets.cmake",
                                         "targets-release.cmake")}
        expect("include/slabmalloc/slabmalloc.h" in files, "there is no header")
        rest = {f for f in files - wanted if not f.startswith("include/slabmalloc/")}
        expect(not wanted - files, f"not installed: {sorted(wanted - files)}")
        expect(not rest, f"installed without need: {sorted(rest)}")
        for text in (p for p in self.prefix.rglob("*") if p.suffix in (".cmake", ".pc", ".h")):
            content = text.read_text(encoding="utf-8")
            for place in (self.source, self.build):
                expect(str(place) not in content, f"{text.name} names {place}")

    def check_command(self):
        """It finds its parts and the library beside it."""
        command = self.prefix / "bin" / "slabmalloc"
        shown = run(command, "run", "--preset", "memory", "--", "sh", "-c",
                    "echo $LD_PRELOAD $SLABMALLOC_OPTIONS")
        expect_output(shown, f"{self.prefix / 'lib' / 'libslabmalloc.so'} preset=memory")
        expect("quarantine" in run(command, "options"), "no options")

    def check_cmake_c_shared(self):
        build = self.consumer("C", self.prefix)
        expect_output(run(build / "on_slabmalloc", "libslabmalloc.so"), "runs on slabmalloc")

    def check_cmake_c_static(self):
        build = self.consumer("C", self.prefix)
        expect_output(run(build / "on_slabmalloc_static"), "runs on slabmalloc")
        needed = [line.split("[")[1].rstrip("]") for line in
                  run("readelf", "-dW", build / "on_slabmalloc_static").splitlines()
                  if "(NEEDED)" in line]
        expect(needed == ["libc.so.6"], f"a C program needs {needed}, not libc.so.6 alone")

    def check_cmake_cxx(self):
        build = self.consumer("CXX", self.prefix)
        for library in ("slabmalloc", "slabmalloc_static"):
            expect_output(run(build / f"on_{library}"), "101 calls, bad_alloc thrown")

    def check_pkg_config(self):
        expect(self.pkg_config(self.prefix, "--modversion") == [self.version], "another version")
        self.with_pkg_config(self.prefix)

    def check_moved_prefix(self):
        moved = self.folder / "moved"
        shutil.copytree(self.prefix, moved, symlinks=True)
        hidden = self.folder / "hidden"
        self.prefix.rename(hidden)
        try:
            self.with_pkg_config(moved)
            build = self.consumer("CXX", moved)
            expect_output(run(build / "on_slabmalloc"), "101 calls, bad_alloc thrown")
        finally:
            hidden.rename(self.prefix)

    def check_static_programs(self):
        flags = self.pkg_config(self.prefix, "--static", "--cflags", "--libs")
        for kind in ("-static", "-static-pie"):
            for compiler, suffix, output in (
                    (self.cc, "c", "runs on slabmalloc"),
                    (self.cxx, "cc", "101 calls, bad_alloc thrown")):
                program = self.folder / f"program{kind}.{suffix}"
                pie = ["-fPIE"] if kind == "-static-pie" else []
                run(compiler, kind, *pie, "-fno-builtin",
                    SOURCES / f"runs_on_slabmalloc.{suffix}", *flags, "-o", program)
                expect("INTERP" not in run("readelf", "-lW", program), f"{kind} is not static")
                expect_output(run(program), output)

    def check_header(self):
        include = f"-I{self.prefix}/include"
        source = SOURCES / "only_header.c"
        for standard in ("c99", "c11", "c17"):
            run(self.cc, f"-std={standard}", *WARNINGS, include, "-fsyntax-only", source)
        for standard in ("c++11", "c++17", "c++20"):
            run(self.cxx, f"-std={standard}", "-x", "c++", *WARNINGS, include, "-fsyntax-only",
                source)

    def check_without_override(self):
        build = self.folder / "build_bare"
        self.configure(self.source, build, "-DSLABMALLOC_OVERRIDE=OFF", "-DSLABMALLOC_TESTS=OFF",
                       f"-DCMAKE_INSTALL_LIBDIR={self.bare_library}")
        run(self.cmake, "--build", build)
        run(self.cmake, "--install", build, "--prefix", self.bare)
        library = self.bare / self.bare_library
        names = exported(library / "libslabmalloc.so")
        expect("slm_malloc" in names, "slm_malloc is not exported")
        others = sorted(n for n in names if not n.startswith("slm_"))
        expect(not others, f"exports without slm_: {others}")
        for name in run("nm", "-g", "--defined-only", library / "libslabmalloc.a").split():
            expect(name not in ("malloc", "free", "_Znwm", "calloc"), f"the archive has {name}")
        program = self.folder / "side_by_side"
        run(self.cc, "-D_GNU_SOURCE", "-std=gnu11", *WARNINGS, "-fno-builtin",
            SOURCES / "side_by_side.c", f"-I{self.bare}/include", f"-L{library}", "-lslabmalloc",
            f"-Wl,-rpath,{library}", "-o", program)
        expect_output(run(program), "50 calls, malloc and slm_malloc apart")

    def check_library_folder_of_two_levels(self):
        flags = self.pkg_config(self.bare, "--cflags", "--libs", library=self.bare_library)
        places = [os.path.normpath(f[2:]) for f in flags if f[:2] in ("-I", "-L")]
        wanted = [f"{self.bare}/include", f"{self.bare}/{self.bare_library}"]
        for place in wanted:
            expect(place in places, f"pkg-config gives {flags}, without {place}")

    def check_part_of_another_build(self):
        for way in ("add_subdirectory", "FetchContent"):
            build = self.folder / way
            self.configure(SOURCES.parent / "subproject", build, f"-DWAY={way}",
                           f"-DSLABMALLOC_SOURCE={self.source}")
            listed = run("ctest", "--test-dir", build, "-N")
            expect("Total Tests: 2" in listed, f"not only the parent's tests: {listed}")
        run(self.cmake, "--build", build)
        expect_output(run(build / "on_slabmalloc", "libslabmalloc.so"), "runs on slabmalloc")
        expect_output(run(build / "on_slabmalloc_static"), "runs on slabmalloc")

    def check_debian_package(self):
        """Installed, it would have all that cmake --install leaves, under /usr."""
        packages, root = self.folder / "packages", self.folder / "root"
        run(pathlib.Path(self.cmake).with_name("cpack"), "-G", "DEB", "--config",
            self.build / "CPackConfig.cmake", "-B", packages)
        found = list(packages.glob(f"slabmalloc_{self.version}_*.deb"))
        expect(len(found) == 1, f"not one package: {found}")
        needs = run("dpkg-deb", "-f", found[0], "Depends")
        expect(needs.strip().startswith("libc6 (>= 2.34)") and "," not in needs,
               f"it needs {needs}")
        run("dpkg-deb", "-x", found[0], root)
        installed = {p.relative_to(self.prefix) for p in self.prefix.rglob("*")}
        packed = {p.relative_to(root / "usr") for p in (root / "usr").rglob("*")}
        expect(installed == packed, f"differs by {sorted(installed ^ packed)}")
        shown = run(root / "usr/bin/slabmalloc", "run", "--", "sh", "-c", "echo $LD_PRELOAD")
        expect_output(shown, str(root / "usr/lib/libslabmalloc.so"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "build"):
        parser.add_argument(f"--{name}", type=lambda p: pathlib.Path(p).resolve(), required=True)
    for name in ("cmake", "cc", "cxx", "version"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="slabmalloc-install-") as name:
        checks = Checks(arguments, pathlib.Path(name).resolve())
        for check in [n for n in vars(Checks) if n.startswith("check_")]:
            try:
                getattr(checks, check)()
                print(f"ok      {check[6:]}", flush=True)
            except (Failure, OSError, subprocess.TimeoutExpired) as failure:
                failures += 1
                print(f"FAILED  {check[6:]}: {failure}", flush=True)
                if not isinstance(failure, Failure):
                    traceback.print_exc(file=sys.stdout)
    return 1 if failures else 0


sys.exit(main())
