"""What every public docstring says: arguments with shapes, results, refusals, and the source."""

import importlib
import inspect
import pkgutil
import re

import pytest

import xent.ops
import xent.reference

SINGLE = ("chapter", "figures", "models", "optim", "parity", "records", "sources", "verifiable")
KINDS = ("shape", "scalar", "number", "float", "int", "bool", "array", "tensor", "``(", "pair")


def modules():
    for package in (xent.reference, xent.ops):
        for found in pkgutil.iter_modules(package.__path__):
            yield importlib.import_module(f"{package.__name__}.{found.name}")
    for name in SINGLE:
        yield importlib.import_module(f"xent.{name}")


def public(module):
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            yield value


def formulas():
    """Functions of reference and ops: the ones a reader imports into work of their own."""
    for package in (xent.reference, xent.ops):
        for found in pkgutil.iter_modules(package.__path__):
            if found.name in (
                "arguments",
                "backend",
                "attention",
                "linear",
            ) or found.name.startswith("linear_"):
                continue
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            yield from filter(inspect.isfunction, public(module))


def name_of(value):
    return f"{value.__module__.removeprefix('xent.')}.{value.__qualname__}"


EVERYTHING = [value for module in modules() for value in public(module)]
FORMULAS = list(formulas())


def sections(value):
    """The docstring's sections by name; its head is under the empty name."""
    found, name = {"": []}, ""
    for line in inspect.getdoc(value).splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Warns|Attributes):", line):
            name = line[:-1]
            found[name] = []
        elif line.startswith("Source:"):
            name = "Source"
            found[name] = [line]
        elif line and not line.startswith(" ") and name not in ("", "Source"):
            name = ""
            found[name].append(line)
        else:
            found[name].append(line)
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


@pytest.mark.parametrize("value", EVERYTHING, ids=name_of)
def test_it_begins_with_one_sentence(value):
    first = (value.__doc__ or "").strip().partition("\n\n")[0]
    assert first and first.rstrip("`:").endswith((".", "}")), first


@pytest.mark.parametrize("value", FORMULAS, ids=name_of)
def test_a_formula_names_arguments_result_refusals_and_source(value):
    told = sections(value)
    parameters = inspect.signature(value).parameters
    for name in parameters:
        assert re.search(rf"^\s+{name}:", "\n" + told.get("Args", ""), re.MULTILINE) or (
            told.get("Args", "").startswith(f"{name}:")
        ), f"{name} is not among the Args"
    assert told.get("Returns"), "no Returns"
    assert told.get("Raises"), "no Raises"
    assert told.get("Source"), "no Source"
    assert any(word in (told["Args"] + told["Returns"]).lower() for word in KINDS), "no shape"
