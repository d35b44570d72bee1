"""The command `darkroom`. Parses, calls, prints; what it calls lives in `darkroom.local` or behind the HTTP API."""
