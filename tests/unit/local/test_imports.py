from __future__ import annotations

from pathlib import Path

from darkroom.local.revisions.imports import FOUND_FOR_S, ImportedFiles


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(imported: ImportedFiles, entry: Path, root: Path) -> set[str]:
    return {str(Path(path).relative_to(root)) for path in imported.of(entry, root)}


def test_imports_are_followed_below_the_root_and_nowhere_else(tmp_path: Path) -> None:
    entry = write(
        tmp_path / "functions/confirm/main.py",
        "import json, helpers\nfrom shop import prices\nfrom shop.orders import total as t\n",
    )
    write(tmp_path / "functions/confirm/helpers.py", "def f():\n    import shop.late\n")
    write(tmp_path / "shop/__init__.py")
    write(tmp_path / "shop/prices.py", "from . import rates\n")
    write(tmp_path / "shop/orders/__init__.py", "from ..taxes import x\n")
    for name in ("rates", "taxes", "late", "unused"):
        write(tmp_path / f"shop/{name}.py")
    expected = {
        "functions/confirm/main.py",
        "functions/confirm/helpers.py",
        "shop/__init__.py",
        "shop/prices.py",
        "shop/rates.py",
        "shop/orders/__init__.py",
        "shop/taxes.py",
        "shop/late.py",
    }
    assert found(ImportedFiles(), entry, tmp_path) == expected


def test_an_import_that_is_added_is_found_and_a_circle_ends(tmp_path: Path) -> None:
    imported = ImportedFiles()
    entry = write(tmp_path / "main.py", "import a")
    write(tmp_path / "a.py", "import main")
    write(tmp_path / "b.py")
    assert found(imported, entry, tmp_path) == {"main.py", "a.py"}
    write(tmp_path / "a.py", "import main, b")
    assert found(imported, entry, tmp_path) == {"main.py", "a.py", "b.py"}


def test_a_file_with_a_mistake_or_without_a_reader_counts_and_ends_nothing(tmp_path: Path) -> None:
    entry = write(tmp_path / "main.py", "import a\ndef broken(:\n")
    assert found(ImportedFiles(), entry, tmp_path) == {"main.py"}
    assert found(ImportedFiles(), tmp_path / "none.py", tmp_path) == set()


def test_a_namespace_package_has_no_file_of_its_own(tmp_path: Path) -> None:
    entry = write(tmp_path / "main.py", "from shop.orders import total")
    write(tmp_path / "shop/orders.py")
    assert found(ImportedFiles(), entry, tmp_path) == {"main.py", "shop/orders.py"}


def test_a_module_that_appears_later_is_found_after_a_while(tmp_path: Path) -> None:
    now_s = 0.0
    imported = ImportedFiles(clock=lambda: now_s)
    entry = tmp_path / "main.py"
    entry.write_text("import later\n")
    assert found(imported, entry, tmp_path) == {"main.py"}
    (tmp_path / "later.py").write_text("")
    assert found(imported, entry, tmp_path) == {"main.py"}
    now_s = FOUND_FOR_S + 1
    assert found(imported, entry, tmp_path) == {"main.py", "later.py"}
