# SPDX-License-Identifier: Apache-2.0
"""
Write the reference of a class or function in Markdown, from its signature and its docstring.

The docstrings are reStructuredText with few constructs: roles, literals, lists and fields such as ``:param x:``.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from dev import PROJECT
from dev.docs.tables import code, table

_FIELD = re.compile(r":(param|return|raises)(?: (\w+))?: (.*)")
_ROLE = re.compile(r":[\w:]+:`(?:(?P<text>[^`<]+?) <(?P<target>[^>]+)>|~?(?P<path>[\w.]+))`")
_PLACE = re.compile(r"^## (\w+)\n\n<!-- embed: reference (\S+)", re.M)
# What docstrings refer to and other pages explain.
_GUIDES = {
    "airflow_provider_ip1.api.status": "[Status codes](../status-codes.md)",
    "airflow_provider_ip1.exceptions": "[Errors](../errors.md)",
    "airflow_provider_ip1.formats.redaction.Redaction": "[Redaction](../export.md#redaction)",
    "airflow_provider_ip1.formats.table": "[the typed table](../data-dictionary.md)",
}
_NOTE = re.compile(r"^\.\. (?P<kind>warning|note):: ", re.M)
_SEE_ALSO = re.compile(r"^\.\. seealso::.*\n?", re.M)


@cache
def places() -> dict[str, str]:
    """Where the reference describes what: name -> page and anchor."""
    return {
        path.rpartition(".")[2]: f"{page.name}#{heading.lower()}"
        for page in sorted((PROJECT / "docs" / "reference").glob("*.md"))
        for heading, path in _PLACE.findall(page.read_text(encoding="utf-8"))
    }


def _linked(role: re.Match[str]) -> str:
    target = role["target"] or role["path"]
    if target in _GUIDES:
        return _GUIDES[target]
    # A method is described with its class.
    names = target.split(".")[-2:]
    place = next((places()[name] for name in reversed(names) if name in places()), None)
    shown = code(role["text"] or names[-1])
    return f"[{shown}]({place})" if place else shown


def markdown(text: str) -> str:
    """
    Return a docstring, or a part of it, as Markdown.

    :param text: without fields such as ``:param x:``.
    """
    text = _NOTE.sub(lambda note: f"**{note['kind'].capitalize()}:** ", _SEE_ALSO.sub("", text))
    text = _ROLE.sub(_linked, text)
    return re.sub(r"\n{3,}", "\n\n", text.replace("``", "`")).strip()


def in_a_cell(text: str) -> str:
    """Return the text of a field as one line that starts with a capital letter."""
    line = " ".join(markdown(text).split())
    return line if line.startswith("iP.1") else line[:1].upper() + line[1:]


def split_docstring(documented: object) -> tuple[str, list[tuple[str, str, str]]]:
    """
    Return the text of a docstring without its fields, and its fields: their kind, name and text.

    :param documented: the class or function.
    """
    fields: list[tuple[str, str, str]] = []
    rest: list[str] = []
    in_field = False
    for line in (inspect.getdoc(documented) or "").splitlines():
        if found := _FIELD.match(line):
            fields.append((found[1], found[2] or "", found[3]))
            in_field = True
        elif in_field and line.startswith(" "):
            kind, name, text = fields.pop()
            fields.append((kind, name, f"{text} {line.strip()}"))
        else:
            in_field = False
            rest.append(line)
    return markdown("\n".join(rest)), fields


def _names_around(documented: Any) -> dict[str, Any]:
    """The names that annotations may use: those of all modules that take part in the definition."""
    modules = ["airflow_provider_ip1.transfers.options", "typing", "datetime", "collections.abc"]
    modules += [parent.__module__ for parent in reversed(getattr(documented, "__mro__", ()))]
    names: dict[str, Any] = {}
    for module in [*modules, documented.__module__]:
        names |= vars(sys.modules.get(module, types))
    return names


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    """What the text of an annotation means. Names that only type checkers import have no meaning here."""
    try:
        return eval(annotation, dict(names)) if isinstance(annotation, str) else annotation  # noqa: S307
    except (NameError, AttributeError, TypeError):
        return annotation


def type_text(annotation: Any, names: dict[str, Any]) -> str:
    """
    Return an annotation as a reader of the documentation writes it.

    :param annotation: from a signature; text with ``from __future__ import annotations``.
    :param names: what the text may mention. Names that are missing stay as they are.
    """
    annotation = _evaluated(annotation, names)
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, typing.TypeVar):
        return type_text(annotation.__bound__, names)
    if annotation in (inspect.Parameter.empty, Any):
        return ""
    if annotation is None or annotation is type(None):
        return "None"
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(repr(value) for value in typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(type_text(part, names) for part in typing.get_args(annotation)))
    text = str(annotation) if typing.get_args(annotation) else getattr(annotation, "__name__", str(annotation))
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text.replace("NoneType", "None"))


def arguments(documented: Any, fields: list[tuple[str, str, str]]) -> str:
    """
    Return the table of the arguments of a class or function.

    :param documented: the class or function.
    :param fields: the fields of its docstring.
    """
    meanings = {name: in_a_cell(text) for kind, name, text in fields if kind == "param"}
    if not meanings:
        return ""
    names = _names_around(documented)
    parameters = dict(inspect.signature(documented).parameters)
    types_of_keys: dict[str, Any] = {}
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            (keys,) = typing.get_args(_evaluated(parameter.annotation, names)) or (None,)
            types_of_keys |= typing.get_type_hints(keys) if keys else {}
    rows = [
        [
            code(
                f"**{name}" if name in parameters and parameters[name].kind is inspect.Parameter.VAR_KEYWORD else name
            ),
            type_text(parameters[name].annotation if name in parameters else types_of_keys.get(name, Any), names),
            _default(parameters[name]) if name in parameters else "see meaning",
            meanings[name],
        ]
        for name in sorted(meanings, key=lambda name: [*parameters, *meanings].index(name))
    ]
    for row in rows:
        row[1] = row[1] and code(row[1])
    if hasattr(documented, "__struct_fields__") or _is_frozen(documented):
        return table(["Field", "Type", "Meaning"], [[name, kind, meaning] for name, kind, _, meaning in rows])
    return table(["Argument", "Type", "Default", "Meaning"], rows)


def _is_frozen(documented: Any) -> bool:
    """Whether it is a class of values, which users read rather than create."""
    parameters = getattr(documented, "__dataclass_params__", None)
    return bool(parameters and parameters.frozen)


def _default(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_KEYWORD:
        return ""
    if parameter.default is parameter.empty:
        return "required"
    shown = re.sub(r"\bdatetime\.", "", repr(parameter.default))
    # The default of this one is a setting of Airflow, and functions have no text.
    return "see meaning" if parameter.name == "deferrable" or shown.startswith("<") else code(shown)


def _parts(documented: Any) -> Iterator[str]:
    text, fields = split_docstring(documented)
    yield text
    yield arguments(documented, fields)
    for kind, _, meaning in fields:
        if kind == "return":
            yield f"**Returns** {markdown(' '.join(meaning.split()))}"
    raised = [
        f"- {code(name)}: {markdown(' '.join(meaning.split()))}" for kind, name, meaning in fields if kind == "raises"
    ]
    if raised:
        yield "**Raises**"
        yield "\n".join(raised)


def _found(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"airflow_provider_ip1.{module}"), name)


def _call(name: str, function: Callable[..., Any]) -> str:
    """A method as one calls it, without ``self`` and annotations."""
    parameters = [
        each.replace(annotation=each.empty)
        for each in inspect.signature(function).parameters.values()
        if each.name != "self"
    ]
    return code(f"{name}{inspect.Signature(parameters)}")


def reference(path: str, *members: str) -> str:
    """
    The reference of a class or function: its text, its arguments, and what it returns and raises.

    :param path: module below ``airflow_provider_ip1``, and name.
    :param members: the methods and properties to show as well.
    """
    documented = _found(path)
    parts = [f"From {code('airflow_provider_ip1.' + path.rpartition('.')[0])}.", *_parts(documented)]
    short: list[list[str]] = []
    for name in members:
        member = getattr(documented, name)
        function = getattr(member, "fget", None) or getattr(member, "func", None)
        text, fields = split_docstring(function or member)
        call = code(name) if function else _call(name, member)
        if any(kind == "param" for kind, *_ in fields):
            parts += [f"### {documented.__name__}.{name}", call, *_parts(member)]
        else:
            returned = [f"Returns {meaning}" for kind, _, meaning in fields if kind == "return"]
            short.append([call, in_a_cell(" ".join([text, *returned]))])
    parts += [table(["Method or property", "Meaning"], short)] if short else []
    return "\n\n".join(part for part in parts if part)
