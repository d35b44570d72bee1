"""What an operator does with what was given up: select dead letters, group them, redrive them.

The command line and the console show it; neither decides anything. Nothing here parses options or writes HTML.
"""
