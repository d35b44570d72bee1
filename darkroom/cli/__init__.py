"""The command `darkroom`. It parses, calls and prints; the work is done in `darkroom.local` or behind the HTTP API."""
