"""Text that is put into Markdown stays what it is, and can be read where it is not rendered."""

import pytest

from baselines.markdown import code, escape


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
        "-3.0 % and +2.0 %",
        "+2.0 % in #12",
        "#12 is older",
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
        ("# a heading", "\\# a heading"),
        ("## a heading", "\\## a heading"),
        ("> quoted", "\\> quoted"),
        (">quoted", "\\>quoted"),
        ("- an item", "\\- an item"),
        ("+ an item", "\\+ an item"),
        (
            "\x1b[31mred \N{RIGHT-TO-LEFT OVERRIDE}",
            "\N{REPLACEMENT CHARACTER}[31mred \N{REPLACEMENT CHARACTER}",
        ),
    ],
)
def test_what_would_be_markup_is_escaped(markup: str, escaped: str) -> None:
    assert escape(markup) == escaped


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("decode-b1-c512-nf4-dq-eager", "`decode-b1-c512-nf4-dq-eager`"),
        ("<script>_x_*y*", "`<script>_x_*y*`"),
        ("a`b", "a\\`b"),
        ("a|b", "a\\|b"),
        ("a\nb", "a b"),
        ("\x1b[31m", "\N{REPLACEMENT CHARACTER}[31m"),
        ("", ""),
    ],
)
def test_a_name_that_code_cannot_hold_is_escaped(name: str, shown: str) -> None:
    assert code(name) == shown
