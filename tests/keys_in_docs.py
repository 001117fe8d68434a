"""The part of docs/writing-runbooks.md that is made from the models; run, it writes that part."""

from pathlib import Path

from runbooks.spec.keys_page import page

PAGE = Path(__file__).parents[1] / "docs" / "writing-runbooks.md"
BEGIN = "<!-- keys: made by `make docs` from the models; a test compares them -->\n"
END = "<!-- end of the keys -->\n"


def as_it_should_be(text: str) -> str:
    """The page with the keys as the models have them."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{page()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(as_it_should_be(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
