"""`python -m darkroom.cli` is the command, for those who start it with an interpreter of their choice."""

from darkroom.cli.main import main

main()
