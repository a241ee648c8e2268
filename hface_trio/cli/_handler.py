"""From ``MODULE:HANDLER`` to a stream handler, or to one line that says what is wrong with it."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from functools import reduce

from ..connections import StreamHandler
from ._border import CommandError, describe_place

__all__ = ["import_handler"]


def import_handler(reference: str) -> StreamHandler:
    """Import a handler, with the working directory among the places where modules are looked for.

    Args:
        reference: such as ``app:handler``, ``package.module:object.method``.

    Raises:
        CommandError: it cannot be imported, or is no asynchronous function of one argument.
    """
    module_name, separator, path = reference.partition(":")
    if not separator or not module_name or not path:
        raise CommandError(f"handler {reference!r} must have the form MODULE:HANDLER")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise CommandError(f"{module_name!r} is not the name of a module: write it as in an import statement")
    module = _import_module(module_name)
    try:
        handler: object = reduce(getattr, path.split("."), module)
    except AttributeError:
        raise CommandError(f"module {module_name!r} has no {path!r}") from None
    _check(reference, handler)
    return handler  # type: ignore[return-value]  # as far as can be seen without calling it


def _import_module(name: str) -> object:
    directory = _working_directory()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and f"{name}.".startswith(f"{exc.name}."):
            raise CommandError(f"there is no module {exc.name!r}, neither in {directory!r} nor installed") from None
        raise _import_failure(name, exc) from exc
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # a module may raise anything, SystemExit too
        raise _import_failure(name, exc) from exc


def _import_failure(name: str, exc: BaseException) -> CommandError:
    message = exc.msg if isinstance(exc, SyntaxError) else str(exc)
    what = f"{type(exc).__name__}: {message}" if message else type(exc).__name__
    return CommandError(f"cannot import module {name!r}: {what} ({describe_place(exc)})")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError as exc:
        raise CommandError(f"the working directory cannot be used: {exc.strerror}") from exc


def _check(reference: str, handler: object) -> None:
    if not callable(handler):
        raise CommandError(f"{reference!r} is not a function, but of type {type(handler).__name__!r}")
    if inspect.isclass(handler):
        raise CommandError(f"{reference!r} is a class; a handler is an asynchronous function")
    function = inspect.unwrap(handler)
    if not inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(type(function).__call__):
        if inspect.isasyncgenfunction(function):
            raise CommandError(f"{reference!r} is an asynchronous generator, because it yields; a handler does not")
        raise CommandError(f"{reference!r} is not asynchronous: a handler is an 'async def' function")
    try:
        inspect.signature(handler).bind(object())
    except TypeError:
        raise CommandError(f"{reference!r} must take one argument, the stream") from None
    except ValueError:
        return  # it has no signature to be looked at
