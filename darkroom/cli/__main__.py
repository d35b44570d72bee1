"""Runs the command as `python -m darkroom.cli`, with any interpreter."""

from darkroom.cli.main import main

main()
