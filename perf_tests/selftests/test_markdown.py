"""Text that is put into Markdown stays what it is, and can be read where it is not rendered."""

import pytest

from baselines.markdown import escape


@pytest.mark.parametrize(
    "plain",
    [
        "lower_s/device_s 0.287 < 0.34, below the band 0.34 to 0.5",
        "2 * 3 ~ 6",
        "[redacted] and a[0]",
        "at /runs/2026_11_22/a_b.json",
        "R&D, 5 & 6;",
        "C:\\runs",
        "'mlp -> attn' <- 4 <= 5",
    ],
)
def test_what_is_no_markup_is_left_alone(plain: str) -> None:
    assert escape(plain) == plain


@pytest.mark.parametrize(
    ("markup", "escaped"),
    [
        ("a | b", "a \\| b"),
        ("*bold* and **more**", "\\*bold\\* and \\*\\*more\\*\\*"),
        ("decode-*", "decode-\\*"),
        ("* an item", "\\* an item"),
        ("_all_ of snake_case", "\\_all\\_ of snake_case"),
        ("__init__", "\\_\\_init\\_\\_"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("<script> </b> <!-- -->", "\\<script> \\</b> \\<!-- -->"),
        ("[text](url)", "\\[text](url)"),
        ("[a [b] c](url)", "\\[a \\[b] c](url)"),
        ("[1]: url", "\\[1]: url"),
        ("[^1]", "\\[^1]"),
        ("[x] done", "\\[x] done"),
        ("`code`", "\\`code\\`"),
        ("a\\|b", "a\\\\\\|b"),
        ("ends with \\", "ends with \\\\"),
        ("&lt; &#60;", "\\&lt; \\&#60;"),
        ("two\nlines\t and more", "two lines and more"),
    ],
)
def test_what_would_be_markup_is_escaped(markup: str, escaped: str) -> None:
    assert escape(markup) == escaped
