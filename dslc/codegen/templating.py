"""Templates to text. With the report, the only importer of jinja2: templates print what they are given and compute
nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import CodeType

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from dslc.cache import cache_folder
from dslc.codegen.sizes import bytes_of, largest, unsigned
from dslc.scalar import Scalar, scalar


class UnusedContext(Exception):
    """A template was given a value that it never prints: a sign that plan and template have drifted apart."""


def render(name: str, context: Mapping[str, object], single: bool) -> str:
    """The text of a template. `single`: literals are floats, else doubles.

    Raises:
        UnusedContext: the template does not use all of the context. What it lacks is an error of jinja2.
    """
    template = _environment(single).get_template(name)
    if unused := set(context) - _mentioned(name, single):
        raise UnusedContext(f"{name} prints nothing of {', '.join(sorted(unused))}")
    return template.render(context)


@cache
def _environment(single: bool) -> Environment:
    """Templates with literals of one precision. Compiled templates are kept in the cache, by their contents."""
    kept = cache_folder() / "templates"
    kept.mkdir(exist_ok=True)
    env = Environment(
        loader=FileSystemLoader(Path(str(resources.files("dslc.templates")))),
        bytecode_cache=FileSystemBytecodeCache(str(kept)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["real"] = lambda formula: _literals(str(formula), single)
    env.filters["double"] = lambda formula: _doubles(str(formula))
    env.filters["largest"] = largest
    env.filters["bytes"] = bytes_of
    env.filters["unsigned"] = unsigned
    env.filters["name"] = lambda parameter: re.findall(r"\w+", parameter)[-1]
    env.filters["number"] = lambda value: _number(value, single)
    env.filters["rounded"] = lambda value: _rounded(value, single)
    env.filters["exact"] = lambda value: _doubles(scalar(value).inside(6))
    env.filters["share_of_words"] = _share_of_words
    return env


def _number(value: float, single: bool) -> str:
    return f"{float(value)!r}{'f' if single else ''}"


def _rounded(value: Scalar | float, single: bool) -> str:
    """What is computed once in double precision, in the precision of the network."""
    return f"(real)({_doubles(value.code)})" if isinstance(value, Scalar) else _number(value, single)


def _share_of_words(share: Scalar | float) -> str:
    """How many of the 2^32 random words are below the others, in C."""
    if isinstance(share, Scalar):
        return f"(uint32_t)({_doubles((share * 2.0**32).code)})"
    return f"{int(share * 2**32)}u"


def _literals(formula: str, single: bool) -> str:
    """`REAL(0.5)` as a literal of a precision."""
    return re.sub(r"REAL\(([^()]*)\)", r"\1f" if single else r"\1", formula)


def _doubles(formula: str) -> str:
    """A formula in double precision in a network of any."""
    return _literals(formula.replace("multiply_add(", "fma("), False)


@cache
def _mentioned(name: str, single: bool) -> frozenset[str]:
    """The names that a template looks up, and those of the templates that it includes."""
    found: set[str] = set()
    codes = [_environment(single).get_template(name).root_render_func.__code__]
    while codes:
        for constant in codes.pop().co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
            elif isinstance(constant, str):
                included = constant.endswith(".j2") and constant != name
                found |= _mentioned(constant, single) if included else {constant}
    return frozenset(found)
