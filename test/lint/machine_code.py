"""Reads the machine code of a library with objdump: what lies on a hot path, what calls what.

Used by hot_paths.py and by perf/count."""

import collections
import re
import subprocess

Instruction = collections.namedtuple("Instruction", "address mnemonic operands text")
Target = collections.namedtuple("Target", "address name")

# Words before the mnemonic; gcc's "addr32 call" is a call through the GOT that ld made direct.
PREFIXES = {"rep", "repz", "repnz", "bnd", "notrack", "data16", "addr32", "cs", "ds", "xacquire",
            "xrelease"}
LINE = re.compile(r"^\s*([0-9a-f]+):\s+(\S.*)$")
LABEL = re.compile(r"^([0-9a-f]+) <(.+)>:$")
DIRECT = re.compile(r"^([0-9a-f]+) <")
THROUGH_GOT = re.compile(r"^\*.*\(%rip\)\s+#\s+([0-9a-f]+)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Code:
    """`functions`: start address -> list of instructions, in address order."""

    def __init__(self, path):
        self.path = path
        self.functions = {}
        self.function_of = {}
        self.label = {}
        current = None
        for line in run("objdump", "-d", "-w", "--no-show-raw-insn", path).splitlines():
            label = LABEL.match(line)
            if label:
                current = int(label[1], 16)
                self.functions[current] = []
                self.label[current] = label[2]
                continue
            found = LINE.match(line)
            if not found or current is None:
                continue
            text = " ".join(found[2].split())
            words = text.split(" ")
            mnemonic = words.pop(0)
            while mnemonic in PREFIXES and words:
                mnemonic = words.pop(0)
            if "call" in words:
                raise ValueError(f"a prefix that is not known here: {text}")
            address = int(found[1], 16)
            self.functions[current].append(
                Instruction(address, mnemonic, " ".join(words), text))
            self.function_of[address] = current
        self.names = collections.defaultdict(set)  # address -> names
        self.symbols = {}
        for flag in ([], ["-D"]):
            for line in run("nm", *flag, "--defined-only", path).splitlines():
                parts = line.split()
                if len(parts) == 3 and parts[1] in "tTwWiV":
                    address, name = int(parts[0], 16), parts[2].split("@")[0]
                    self.names[address].add(name)
                    self.symbols[name] = address
        self.got = {}
        for line in run("readelf", "-rW", path).splitlines():
            parts = line.split()
            if len(parts) >= 5 and parts[2] in ("R_X86_64_GLOB_DAT", "R_X86_64_JUMP_SLOT"):
                self.got[int(parts[0], 16)] = parts[4].split("@")[0]

    def target(self, instruction):
        """Where a jump or call goes: an address, or the name of a symbol found through the GOT."""
        direct = DIRECT.match(instruction.operands)
        if direct:
            address = int(direct[1], 16)
            through_plt = self.plt_name(address)
            return Target(None, through_plt) if through_plt else Target(address, None)
        got = THROUGH_GOT.match(instruction.operands)
        if got:
            return Target(None, self.got.get(int(got[1], 16)))
        return Target(None, None)

    def plt_name(self, address):
        label = self.label.get(self.function_of.get(address), "")
        return label[: -len("@plt")].split("@")[0] if label.endswith("@plt") else None

    def hot_path(self, name):
        """The instructions from the entry of `name` to the first return, no conditional jump taken.
        A call, an indirect jump or a jump out of the function ends it early, as its last one."""
        address = self.symbols[name]
        function = self.function_of[address]
        body = {i.address: n for n, i in enumerate(self.functions[function])}
        position, path = body[address], []
        while len(path) < 1000:
            instruction = self.functions[function][position]
            path.append(instruction)
            if instruction.mnemonic.startswith(("ret", "call")):
                break
            position += 1
            if instruction.mnemonic.startswith("jmp"):
                position = body.get(self.target(instruction).address, -1)
            if not 0 <= position < len(self.functions[function]):
                break
        return path

    def reached(self, name):
        """Start addresses of all functions that direct calls and jumps from `name` lead to, and
        the names called through the GOT on the way, each with one caller: (functions, {name:
        caller})."""
        functions, outside = set(), {}
        todo = [self.function_of[self.symbols[name]]]
        while todo:
            function = todo.pop()
            if function in functions:
                continue
            functions.add(function)
            for instruction in self.functions[function]:
                if not instruction.mnemonic.startswith(("call", "j")):
                    continue
                target = self.target(instruction)
                if target.name:
                    outside.setdefault(target.name, self.label[function])
                elif target.address in self.function_of:
                    todo.append(self.function_of[target.address])
        return functions, outside


def is_locked(instruction):
    """An atomic read-modify-write: the lock prefix, or xchg with memory, which implies it."""
    return instruction.mnemonic == "lock" or (
        instruction.mnemonic.startswith("xchg") and "(" in instruction.operands)
