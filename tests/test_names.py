"""Any name that the language allows is good, for the net, inputs, heads and layers: whatever C or Python calls so."""

from __future__ import annotations

import builtins
import keyword
import re
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from cffi import FFI

import dslc
from dslc import registry
from dslc.codegen.build import find_compiler
from dslc.codegen.c_source import PUBLIC
from dslc.codegen.names import PHASES
from dslc.compiler import check_text, emit_network
from helpers import assert_agrees, load

C_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Alignas _Alignof
_Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local alignas alignof bool complex
constexpr imaginary noreturn nullptr static_assert thread_local typeof typeof_unqual asm fortran main alignof and
and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept consteval
constinit const_cast decltype delete dynamic_cast explicit export false friend mutable namespace new noexcept not
not_eq operator or or_eq private protected public reinterpret_cast requires static_cast template this throw true try
typeid typename using virtual wchar_t xor xor_eq override final import module linux unix i386 NULL EOF errno assert
signal setjmp va_list jmp_buf FILE stdin stdout stderr
"""
TYPES = """
blkcnt blksize cc clock clockid daddr dev div fd_mask fenv fexcept float double fpos fsblkcnt fsfilcnt gid id imaxdiv
in_addr in_port ino int8 int16 int32 int64 int_fast8 int_fast16 int_fast32 int_fast64 int_least8 int_least16
int_least32 int_least64 intmax intptr key ldiv lldiv locale max_align mbstate mode mqd nlink off pid pthread
pthread_attr pthread_barrier pthread_cond pthread_key pthread_mutex pthread_once pthread_rwlock pthread_spinlock
ptrdiff quad regex regmatch regoff rlim sa_family sem sig_atomic siginfo sigset size socklen speed ssize stack
suseconds tcflag time timer trans uid uint8 uint16 uint32 uint64 uint_fast8 uint_fast16 uint_fast32 uint_fast64
uint_least8 uint_least16 uint_least32 uint_least64 uintmax uintptr u_char u_int u_long u_short useconds wchar wctrans
wctype wint cpu_set
"""
FUNCTIONS = """
acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax
fmin fmod frexp hypot ilogb isfinite isinf isnan ldexp lgamma llrint llround log log10 log1p log2 logb lrint lround
modf nan nearbyint nextafter pow remainder remquo rint round scalbn signbit sin sinh sqrt tan tgamma trunc y0 y1 yn j0
j1 jn gamma signgam M_PI INFINITY NAN HUGE_VAL memcpy memmove memset memcmp strlen strcpy malloc calloc realloc free
abort exit system getpid sleep usleep read write open close sched_yield clock_gettime timespec omp_get_thread_num
omp_get_num_threads
"""
OURS = """
x y n at net part parts step seed lr step_number barrier loss losses loss_sums batch_sums predict evaluate gradients
train train_step train_batches update forward backward prepare prepared few output input_ target real vec ivec range
walk load store product multiply_ multiply_add transpose total_of share_of wait_at_barrier begin end first rows count
order position rates seconds weight bias gamma beta mean var arena threads memory_size max_batch MAX_BATCH KERNEL INLINE
SHUFFLE UNROLL UNROLL_MANY ROLLED
float_mode quad octet ffi lib _cffi _cffi_backend Python PyObject Py_None self dslc numpy np model runtime network
kernels wrapper
"""
WORDS = sorted(
    {
        word
        for words in (C_WORDS, TYPES, FUNCTIONS, OURS, " ".join(keyword.kwlist), " ".join(dir(builtins)))
        for word in words.split()
        if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", word)
    }
)


def allowed(text: str) -> bool:
    """The language itself has no other use for the word."""
    try:
        return bool(check_text(text))
    except dslc.SpecError:
        return False


def net(name: str, train: bool = True) -> str:
    training = "train {\n  loss mse\n  optimizer adam(0.1)\n  batch 4\n}\n" if train else ""
    return f"net {name} {{\n  input x: 3\n  dense(2)\n}}\n{training}"


NETS = [word for word in WORDS if allowed(net(word))]
VALUES = [
    word
    for word in WORDS
    if word not in registry.names(dslc.layers)
    and allowed(f"net A {{\n  input {word}: 3\n  dense(2, name={word})\n}}\n")
]


def test_there_are_many_words() -> None:
    assert len(NETS) > 500 and len(VALUES) > 480


@pytest.mark.slow
def test_nets_by_these_names_have_symbols_of_their_own(tmp_path: Path) -> None:
    """What a net's name makes up is the interface, the rest of the C does not depend on it: all interfaces at once,
    behind every header that the C or its wrapper includes, for the compiler and for cffi."""
    by_prefix = {word.lower(): emit_network(check_text(net(word))) for word in NETS}
    includes = sorted(set(re.findall(r"#include <.*>", next(iter(by_prefix.values())).code)) - {"#include <omp.h>"})
    more = [f"#include <{name}.h>" for name in ("stdio", "stdlib", "signal", "pthread", "errno", "setjmp", "complex")]
    declarations = [source.declarations for source in by_prefix.values()]
    file = tmp_path / "names.c"
    file.write_text("\n".join(["#define _GNU_SOURCE", *includes, *more, *declarations]))
    command = [*find_compiler().command, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(file)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    FFI().cdef("\n".join(declarations))


def test_no_public_name_is_that_of_a_phase() -> None:
    """Of whatever net: `train_forward` would be both if a public function were called `forward`."""
    assert not [phase for phase in PHASES if any(phase.endswith(f"_{name}") for name in PUBLIC)]


@pytest.mark.parametrize("name", ["Time", "timer", "float", "main", "predict", "train", "net", "x", "_", "Int32"])
def test_nets_by_these_names_run(name: str, rng: np.random.Generator) -> None:
    assert_agrees(load(net(name), rng), 4, rng)


@pytest.mark.slow
def test_values_by_these_names_run(rng: np.random.Generator) -> None:
    """Inputs, layers and heads, all in one net; no two values of it share a name, so that there are three nets."""
    third = len(VALUES) // 3
    inputs, layers, heads = VALUES[:third], VALUES[third : 2 * third], VALUES[2 * third :]
    for names in ((inputs, layers, heads), (heads, inputs, layers), (layers, heads, inputs)):
        assert_agrees(load(several(*names), rng), 4, rng)


@pytest.mark.slow
def test_no_header_has_a_name_that_a_spec_can_lead_to(tmp_path: Path, rng: np.random.Generator) -> None:
    """What the C calls things is a name of the spec with something before or behind it. Of all names and macros in the
    headers that are included, Python's too, those that are made so are tried: as net, inputs, layers and heads."""
    marked = several(["qInputq"], ["qLayerq"], ["qHeadq"]).replace("net Several", "net qnetq")
    code = emit_network(check_text(marked)).code
    forms = {name.partition(mark)[::2] for mark in ("qInputq", "qLayerq", "qHeadq") for name in names_with(code, mark)}
    headers = [*re.findall(r"#include <.*>", code), "#include <Python.h>"]
    headers += [
        f"#include <{name}.h>" for name in ("stdio", "stdlib", "pthread", "signal", "errno", "complex", "unistd")
    ]
    found = names_in_headers(headers, tmp_path)
    assert len(found) > 5000 and len(forms) > 20
    nets = {name[: -len(form)] for name in found for form in endings(code) if name.endswith(form)}
    assert not {word for word in nets if word and word == word.lower() and allowed(net(word))}
    words = {
        name[len(before) : len(name) - len(behind)]
        for name in found
        for before, behind in forms
        if name.startswith(before) and name.endswith(behind)
    }
    one = "net A {{\n  input {0}: 3\n  dense(2, name={0})\n}}\n"
    tried = sorted(
        w for w in words if w.isidentifier() and w not in registry.names(dslc.layers) and allowed(one.format(w))
    )
    print(len(tried), tried, len(found), len(forms))
    third = max(1, len(tried) // 3)
    parts = tried[:third], tried[third : 2 * third], tried[2 * third :]
    for shift in range(3):
        assert_agrees(load(several(*parts[shift:], *parts[:shift]), rng), 4, rng)


def names_with(code: str, mark: str) -> set[str]:
    """The identifiers of C that are made of a name and more."""
    return {name for name in re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)) if mark in name}


def endings(code: str) -> set[str]:
    """What follows the name of the net."""
    return {name.removeprefix("qnetq") for name in names_with(code, "qnetq")}


def names_in_headers(includes: list[str], folder: Path) -> set[str]:
    """All identifiers that a compiler sees there, and all macros."""
    file = folder / "headers.c"
    file.write_text("\n".join(["#define _GNU_SOURCE", *includes]))
    command = [*find_compiler().command, "-E", "-dD", f"-I{sysconfig.get_path('include')}", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return set(re.findall(r"\b[A-Za-z_]\w*", done.stdout))


def several(inputs: list[str], layers: list[str], heads: list[str]) -> str:
    """A net with these inputs, a dense layer by each name, and these heads."""
    lines = [*(f"input {name}: 2" for name in inputs), f"concat({', '.join(inputs)}) -> dense(2)"]
    lines += [f"dense(2, name={name})" for name in layers]
    lines += ["joined_ = tanh", *(f"output {name} = joined_ -> dense(1)" for name in heads)]
    losses = "\n  ".join(f"loss {name}: mse" for name in heads)
    body = "\n  ".join(lines)
    return f"net Several {{\n  {body}\n}}\ntrain {{\n  {losses}\n  optimizer adam(0.01)\n  batch 4\n}}\n"
