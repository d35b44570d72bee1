"""Serves the handler of a `func` project in Python, in the function's own interpreter: its argument is `http` or
`cloudevent`.

It is run by its path and uses only the standard library and func-python. The handler is what the package `function` in
the working directory exports: a constructor `new`, or a function `handle`.
"""

import importlib
import logging
import os
import sys


def main() -> None:
    mode = sys.argv[1]
    # The first entry is this file's folder, whose modules are none of the function's.
    sys.path[0] = os.getcwd()
    logging.basicConfig(level=logging.INFO)
    function = importlib.import_module("function")
    handler = getattr(function, "new", None) or getattr(function, "handle", None)
    if handler is None:
        sys.exit("the package function exports neither new nor handle (function/__init__.py)")
    importlib.import_module(f"func_python.{mode}").serve(handler)


if __name__ == "__main__":
    main()
