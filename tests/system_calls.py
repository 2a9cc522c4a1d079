"""A forked process that is stopped before its system calls, as by a debugger, and is killed there, or whose calls fail.
For Linux on x86-64."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = sys.platform == "linux" and platform.machine() == "x86_64"
TRACE_ME, POKE_REGISTER, GO_ON, SET_OPTIONS, INFO = 0, 6, 24, 0x4200, 0x420E
TELL_CALLS, KILL_WITH_TRACER = 1, 0x100000
ENTERED = 1
CALL_REGISTER, RESULT_REGISTER = 15 * 8, 10 * 8  # orig_rax and rax in struct user
STOPPED_AT_CALL = signal.SIGTRAP | 0x80
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
BY_DESCRIPTOR = {1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 77: "ftruncate", 285: "fallocate",
                 74: "fsync", 75: "fdatasync", 40: "sendfile", 326: "copy_file_range", 3: "close"}  # fmt: skip
BY_PATH = {2: ("open", 0), 85: ("creat", 0), 82: ("rename", 0), 86: ("link", 0), 87: ("unlink", 0), 83: ("mkdir", 0),
           84: ("rmdir", 0), 76: ("truncate", 0), 257: ("openat", 1), 264: ("renameat", 1), 316: ("renameat2", 1),
           265: ("linkat", 1), 263: ("unlinkat", 1), 258: ("mkdirat", 1)}  # fmt: skip
"""Calls that change files, by number, and which argument is the path."""


@dataclass(frozen=True)
class Call:
    """A call that is about to change a file."""

    name: str
    path: str
    arguments: tuple[int, ...]


class Traced:
    """A forked process that does `work` and ends with its status: in the end `status`, or minus the signal."""

    def __init__(self, work: Callable[[], int]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            signal.alarm(300)  # it never outlives the test for long
            try:
                if self._libc.ptrace(TRACE_ME, 0, None, None) == 0:
                    os.kill(os.getpid(), signal.SIGSTOP)
                    status = work()
            finally:
                os._exit(status)
        self._wait()
        self._trace(SET_OPTIONS, 0, TELL_CALLS | KILL_WITH_TRACER)

    def calls(self, folder: str) -> Iterator[Call]:
        """The calls that change this folder, or what is in it, each before it is carried out. The path is compared by
        its parts, from anywhere on."""
        passed_on = 0
        while self.status is None:
            self._trace(GO_ON, 0, passed_on)
            stopped_by = self._wait()
            passed_on = 0 if stopped_by == STOPPED_AT_CALL else stopped_by
            call = self._call() if stopped_by == STOPPED_AT_CALL else None
            if call is not None and f"/{folder}/" in f"/{call.path}/":
                yield call

    def kill(self) -> None:
        """Kills the process before the call is carried out."""
        os.kill(self.pid, signal.SIGKILL)
        while self.status is None:
            self._wait()

    def fail(self, number: int) -> None:
        """The call is not carried out, and returns this error."""
        self._trace(POKE_REGISTER, CALL_REGISTER, -1)
        self._trace(GO_ON, 0, 0)
        self._wait()
        self._trace(POKE_REGISTER, RESULT_REGISTER, -number)

    def write_half(self, call: Call) -> None:
        """Writes the first half of what a `write` would, as one that is cut short does."""
        descriptor, address, size = call.arguments[:3]
        position = int(Path(f"/proc/{self.pid}/fdinfo/{descriptor}").read_text().split()[1])
        with open(f"/proc/{self.pid}/fd/{descriptor}", "r+b", buffering=0) as file:
            file.seek(position)
            file.write(self._memory(address, size // 2))

    def _wait(self) -> int:
        """The signal that the process was stopped by; 0 if it has ended."""
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSTOPPED(status):
            return os.WSTOPSIG(status)
        self.status = os.waitstatus_to_exitcode(status)
        return 0

    def _trace(self, request: int, address: int, data: int) -> None:
        if self._libc.ptrace(request, self.pid, ctypes.c_void_p(address), ctypes.c_void_p(data)) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def _call(self) -> Call | None:
        """The call that the process has stopped before, if it changes a file."""
        info = (ctypes.c_uint64 * 16)()
        if self._libc.ptrace(INFO, self.pid, ctypes.c_void_p(ctypes.sizeof(info)), ctypes.byref(info)) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")
        if info[0] & 0xFF != ENTERED:
            return None
        number, arguments = info[3], tuple(info[4:10])
        if number in BY_DESCRIPTOR:
            try:
                return Call(BY_DESCRIPTOR[number], os.readlink(f"/proc/{self.pid}/fd/{arguments[0]}"), arguments)
            except OSError:  # no file is open there
                return None
        if number not in BY_PATH:
            return None
        name, at = BY_PATH[number]
        if name.startswith("open") and not arguments[at + 1] & WRITING:
            return None
        return Call(name, os.fsdecode(self._memory(arguments[at], 4096).split(b"\0")[0]), arguments)

    def _memory(self, address: int, size: int) -> bytes:
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(size)
