"""Numbers as text. The only module that turns units into prefixes.

GB is 1e9 bytes and GiB 2**30; rates and counts take decimal prefixes.
"""

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def scaled(value: float, unit: str, *, digits: int = 4) -> str:
    """`value` with a decimal prefix: scaled(1.43e10, "FLOP") == "14.3 GFLOP"."""
    rounded = abs(float(f"{value:.{digits}g}"))
    for factor, prefix in _PREFIXES:
        if rounded >= factor:
            return f"{value / factor:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it; a dash where it was not measured."""
    if value is None:
        return "–"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(value) >= factor:
            return f"{value / factor:.3f} {unit}" if value < 100 * factor else f"{value / factor:.1f} {unit}"
    return f"{value * 1e9:.1f} ns"


def gib(value: float) -> str:
    return f"{value / 2**30:.2f} GiB"


def percent(value: float | None, *, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def seen_from(share: float | None) -> str:
    """The least slowdown that would be seen. Beyond a doubling its size says nothing more."""
    return "> 100 %" if share is not None and share > 1 else percent(share, digits=2)


def signed_percent(value: float) -> str:
    """A change; zero is +0.00 %, on whichever side rounding left it."""
    return f"{round(100 * value, 2) + 0.0:+.2f} %"


def signed_range(low: float, high: float) -> str:
    """Between which changes several lie; the change itself where they are one."""
    ends = signed_percent(low), signed_percent(high)
    return ends[0] if ends[0] == ends[1] else f"{ends[0].removesuffix(' %')} to {ends[1]}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """counted(1, "session") == "1 session"; `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def ratio(value: float | None) -> str:
    """A gain or a speed-up: ratio(2.914) == "2.91×"."""
    return "–" if value is None else f"{value:.2f}×"


def tokens_per_s(value: float | None) -> str:
    """A rate without its unit, for a column that names it: three digits at least."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def spread(value: float, sd: float | None) -> str:
    """A time and the standard deviation of its samples, where there are several."""
    return seconds(value) if sd is None else f"{seconds(value)} ± {seconds(sd)}"


def plus_minus(value_s: float, half_s: float | None) -> str:
    """A time and half the interval about it, in one unit: "8.020 ± 0.020 ms"; the time
    alone where there is no interval."""
    if half_s is None:
        return seconds(value_s)
    time, _, unit = seconds(value_s).partition(" ")
    factor = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]
    return f"{time} ± {half_s / factor:.{len(time.partition('.')[2])}f} {unit}"


def tera(value: float) -> str:
    """A count or rate in 1e12, without its unit, for a column or an axis that names it."""
    return f"{value / 1e12:.3g}"


def interval(low_s: float, typical_s: float, high_s: float) -> str:
    """An estimated time and between what it lies, in one unit and to the digits it
    deserves: "22.1 ms (11.1–44.2)"; without brackets where the ends meet."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
    factor, unit = next((u for u in units if typical_s >= u[0]), units[-1])
    low, typical, high = (_three(value / factor) for value in (low_s, typical_s, high_s))
    return f"{typical} {unit}" if low == high else f"{typical} {unit} ({low}–{high})"


def _three(value: float) -> str:
    """To three digits, never in powers of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
