"""What moved of one case, as a ranked Markdown table."""

from collections.abc import Sequence

from analytic import text
from baselines.attribution import Moved, signed
from baselines.kernel_names import listed
from baselines.markdown import escape, table

_ROWS, _KERNELS = 8, 3
_HEADERS = ("operator or kernel", "then", "change", "device ops", "kernels")


def moved_table(moved: Sequence[Moved]) -> str:
    rows = [
        (
            escape(one.name),
            text.seconds(one.then_s),
            signed(one.change_s),
            f"{one.device_ops:+d}" if one.device_ops else "",
            escape("; ".join(filter(None, (_kernels("new", one.new), _kernels("gone", one.gone))))),
        )
        for one in moved[:_ROWS]
    ]
    rest = moved[_ROWS:]
    more = f"\n\nand {len(rest)} more, together {signed(sum(one.change_s for one in rest))}" if rest else ""
    return table(_HEADERS, rows, left=(0, 4)) + more


def _kernels(kind: str, names: Sequence[str]) -> str:
    return f"{kind}: {listed(names, most=_KERNELS)}" if names else ""
