#!/usr/bin/env python3
"""Protects the form of the sources: a file of src/ opens with a comment that states its purpose; no
file is longer than 500 lines, no line than 100 columns, no function of src/, include/ and tools/
than 60 lines; `struct x` is not hidden behind a typedef; no name of ours begins with an underscore.

    files.py PROJECT
"""

import os
import pathlib
import re
import sys

FILE_LINES_MAX = 500
FILE_LINES_WARN = 400
COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 60
C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hh")
TEXT_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".cmake")
# In test/ C and Python only: the scripts there carry programs and data of other languages.
TEST_SUFFIXES = C_SUFFIXES + (".py",)
FOLDERS = ("src", "include", "tools", "test", "perf", "cmake", ".ci")

# Names with a leading underscore that are not ours: the language's, the compiler's, glibc's, the
# C++ runtime's.
FOREIGN_NAMES = re.compile(
    r"^(_Static_assert|_Bool|_Atomic|_Noreturn|_Alignas|_Alignof|_Generic|_Thread_local|_Pragma"
    r"|_GNU_SOURCE|_DEFAULT_SOURCE|_POSIX_C_SOURCE"
    r"|__(attribute|asm|extension|typeof|alignof|inline|restrict|volatile|const)(__)?"
    r"|__(thread|int128|cplusplus|VA_ARGS__|func__|FUNCTION__|FILE__|LINE__|COUNTER__|BASE_FILE__)"
    r"|__(GNUC|GNUC_MINOR|clang|x86_64|aarch64|GLIBC|GLIBC_MINOR|linux|ELF|OPTIMIZE)__"
    r"|__(ATOMIC|ORDER|BYTE_ORDER|SIZEOF|STDC|SANITIZE)_\w*|__has_\w+"
    r"|__(builtin|atomic|sync|asan|tsan|lsan|ubsan|msan|sanitizer)_\w+"
    r"|__(libc|cxa|gxx|register|posix|errno|malloc|realloc|free|nptl|rseq)_\w+|__environ|__progname"
    r"|__libc\w*|__curbrk|_IO_\w+|_chain|_Unwind_\w+|_URC_\w+"
    r"|_Z\w+|_ITM_\w+|_exit|_Exit|_SC_\w+|_PATH_\w+|__gmon_start__"
    r"|__kernel_\w+|__NR_\w+|_dl_\w+|_r_debug|_DYNAMIC|__start_\w+|__stop_\w+)$")

STRING_OR_COMMENT = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'", re.S)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
NAME = re.compile(r"(?<![\w.#])_\w+")
# Braces that enclose declarations, not a function's body.
ENCLOSING = re.compile(r"(\bextern\s*\"?\s*\"?\s*|\bnamespace\b[\w:\s]*)$")


def blank(match):
    """Keeps the lines of what is removed, so that line numbers stay."""
    return '""' if match[0][0] == '"' else "\n" * match[0].count("\n") or " "


def is_ours(path, folder):
    if folder == "test":
        return path.suffix in TEST_SUFFIXES
    with path.open("rb") as file:
        return path.suffix in TEXT_SUFFIXES or file.read(2) == b"#!"


def function_lengths(code):
    """(first line, lines) of every function body: a `{` at the outer level, after a `)` or an
    attribute, up to its `}`."""
    depth, outer, start, line, last = 0, 0, None, 1, ""
    for position, letter in enumerate(code):
        if letter == "{":
            if depth == outer:
                if ENCLOSING.search(code[max(0, position - 80):position]):
                    outer += 1
                elif last == ")" or re.search(r"\)\s*(noexcept|const|override)\s*$",
                                              code[max(0, position - 40):position]):
                    start = line
            depth += 1
        elif letter == "}":
            depth -= 1
            if start is not None and depth == outer:
                yield start, line - start + 1
                start = None
            outer = min(outer, depth)
        elif letter == "\n":
            line += 1
        if not letter.isspace():
            last = letter


def check_form(where, text, fail):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        fail(f"{where}: {len(lines)} lines, at most {FILE_LINES_MAX}")
    elif len(lines) > FILE_LINES_WARN:
        print(f"note: {where} has {len(lines)} lines")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            fail(f"{where}:{number}: {len(line)} columns, at most {COLUMNS_MAX}")
        if "\t" in line:
            fail(f"{where}:{number}: a tab")
        if line != line.rstrip():
            fail(f"{where}:{number}: blanks at the end of the line")


def check_purpose(where, text, fail):
    opening = re.match(r"\s*/\*.*?\*/", text, re.S)
    if not opening or not re.search(r"\bPurpose: +\w", opening[0]):
        fail(f"{where}: does not open with a comment that states its 'Purpose: ...'")


def check_code(where, text, fail):
    code = STRING_OR_COMMENT.sub(blank, text)
    for found in re.finditer(r"\btypedef\s+(struct|union|enum)\b", code):
        line = code.count("\n", 0, found.start()) + 1
        fail(f"{where}:{line}: a typedef of a {found[1]}")
    for name in sorted({n for n in NAME.findall(code) if not FOREIGN_NAMES.match(n)}):
        fail(f"{where}: {name} begins with an underscore and is not known as a name of others")
    for start, lines in function_lengths(PREPROCESSOR.sub(blank, code)):
        if lines > FUNCTION_LINES_MAX:
            fail(f"{where}:{start}: a function of {lines} lines, at most {FUNCTION_LINES_MAX}")


def self_check():
    """The checks find what they are there for; otherwise their silence would mean nothing."""
    body = "int f(void)\n{\n" + "    g();\n" * 70 + "}\n"
    found = []
    check_purpose("a", "int x;\n", found.append)
    check_form("b", "x" * 101 + "\n" * 501, found.append)
    check_code("c", "typedef struct a b;\nint _own;\n" + body, found.append)
    check_code("d", 'extern "C" {\n' + body + "}\n", found.append)
    check_code("e", "namespace {\nvoid *f() noexcept {\n" + "g();\n" * 70 + "}\n}\n", found.append)
    if [f[0] for f in found] != list("abbcccde"):
        sys.exit(f"the checks do not work: {found}")
    quiet = []
    check_code("f", "/* _a typedef struct */ const char *s = \"_b\"; struct s {\n"
               + "int x;\n" * 70 + "};\n", quiet.append)
    if quiet:
        sys.exit(f"the checks find too much: {quiet}")


def main(project):
    self_check()
    failures, count, functions = [], 0, 0
    for folder in FOLDERS:
        for path in sorted((project / folder).rglob("*")):
            if not path.is_file() or not is_ours(path, folder):
                continue
            where = path.relative_to(project).as_posix()
            text = path.read_text(encoding="utf-8")
            count += 1
            check_form(where, text, failures.append)
            if folder == "src":
                check_purpose(where, text, failures.append)
            if folder in ("src", "include", "tools") and path.suffix in C_SUFFIXES:
                check_code(where, text, failures.append)
                functions += len(list(function_lengths(STRING_OR_COMMENT.sub(blank, text))))
    if count < 50 or functions < 100:
        failures.append(f"only {count} files and {functions} functions seen below {project}")
    print(f"{count} files, {functions} functions")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


sys.exit(main(pathlib.Path(os.path.abspath(sys.argv[1]))))
