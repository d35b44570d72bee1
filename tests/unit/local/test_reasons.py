from __future__ import annotations

import pytest

from darkroom.local.children.reasons import reason_in

PYTHON = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
    import nothing
ModuleNotFoundError: No module named 'nothing'
"""
NODE = """node:internal/modules/cjs/loader:1148
  throw err;
  ^

Error: Cannot find module './missing'
Require stack:
- /shop/server.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1145:15)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: [ '/shop/server.js' ]
}

Node.js v20.20.2
"""
NODE_CODE = """node:events:497
      throw er; // Unhandled 'error' event
      ^

TypeError [ERR_INVALID_ARG_TYPE]: The "path" argument must be of type string
    at x (file.js:1:1)

Node.js v20.20.2
"""
GO = """starting
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.main()
	/shop/main.go:9 +0x1d
exit status 2
"""
GO_LOG = "2026/11/30 15:00:00 listen tcp :8080: bind: address already in use\n"
JAVA = """Exception in thread "main" java.lang.IllegalStateException: no port
	at Main.main(Main.java:3)
Caused by: java.net.BindException: Address already in use
	at sun.nio.ch.Net.bind0(Native Method)
"""
RUST = """thread 'main' panicked at src/main.rs:2:5:
no PORT
note: run with `RUST_BACKTRACE=1`
"""
RUBY = "app.rb:3:in `block': no port (RuntimeError)\n\tfrom app.rb:1:in `<main>'\n"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (PYTHON, "ModuleNotFoundError: No module named 'nothing'"),
        (NODE, "Error: Cannot find module './missing'"),
        (NODE_CODE, 'TypeError [ERR_INVALID_ARG_TYPE]: The "path" argument must be of type string'),
        (GO, "panic: runtime error: index out of range [5] with length 3"),
        (GO_LOG, "2026/11/30 15:00:00 listen tcp :8080: bind: address already in use"),
        (JAVA, "Caused by: java.net.BindException: Address already in use"),
        (RUST, "thread 'main' panicked at src/main.rs:2:5: no PORT"),
        (RUBY, "app.rb:3:in `block': no port (RuntimeError)"),
        ("server.sh: line 3: nginx: command not found\n", "server.sh: line 3: nginx: command not found"),
        ("", ""),
    ],
)
def test_the_reason_is_found_in_the_words_of_each_language(output: str, reason: str) -> None:
    assert reason_in(output.splitlines()) == reason
