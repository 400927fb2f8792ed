"""Reading the fields of a config.json: each is right, or an error that names it."""

from collections.abc import Mapping
from typing import Any

from analytic.errors import SpecError
from analytic.small_file import shown

# No model has sizes beyond this; a number that has is a damaged file.
LARGEST = 10**9
# Every layer is looked at, so that a damaged number of them would take for ever.
MOST_LAYERS = 10_000
_MOST = {"num_hidden_layers": MOST_LAYERS, "n_layer": MOST_LAYERS}


class Fields:
    """The fields of one config; `source` is named in every error."""

    def __init__(self, config: Mapping[str, Any], source: str) -> None:
        self._config = config
        self.source = source

    def error(self, name: str, needed: str) -> SpecError:
        if self._config.get(name) is None:
            return SpecError(f"{self.source}: field {name!r} is missing; {needed} is needed")
        return SpecError(f"{self.source}: field {name!r} is {shown(self._config[name])}; {needed} is needed")

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._config.get(name) is not None

    def stated(self, name: str) -> bool:
        """Whether the field is there, be it null."""
        return name in self._config

    def size(self, name: str, *, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` to LARGEST (of layers MOST_LAYERS); `default` where the field is
        missing or null, an error where there is no default."""
        value = self._config.get(name)
        if value is None and default is not None:
            return default
        most = _MOST.get(name, LARGEST)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            kind = "a positive integer" if least == 1 else f"an integer of at least {least}"
            raise self.error(name, f"{kind} (at most {most:,})")
        return value

    def either(self, *names: str) -> int:
        """A size that releases of transformers name differently. Raises SpecError
        where two of them are there and differ."""
        given = {name: self.size(name) for name in names if self.has(name)}
        if len(set(given.values())) > 1:
            raise SpecError(
                f"{self.source}: {' and '.join(f'{n} {v}' for n, v in given.items())} contradict each "
                "other; one of them, or both alike, are needed"
            )
        return next(iter(given.values())) if given else self.size(names[0])

    def maybe(self, name: str, *, least: int = 1) -> int | None:
        """A whole number, or None where the field is missing or null."""
        return self.size(name, least=least) if self.has(name) else None

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._config.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, "true or false")
        return value

    def share(self, name: str, *, default: float) -> float:
        """A number in (0, 1]; NaN is none."""
        value = self._config.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise self.error(name, "a number above 0 and up to 1")
        return float(value)

    def rotary_share(self, name: str, *, default: float) -> float:
        """The rotated share of a head: what transformers 5 writes into
        rope_parameters, or the field `name` of older configs."""
        nested = self.table("rope_parameters")
        if nested.has("partial_rotary_factor"):
            return nested.share("partial_rotary_factor", default=default)
        return self.share(name, default=default)

    def word(self, name: str, *, default: str) -> str:
        value = self._config.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(name, "a word")
        return value

    def indices(self, name: str) -> frozenset[int]:
        """Layer numbers, given as a list; empty where the field is missing or null."""
        value = self._config.get(name)
        if value is None:
            return frozenset()
        if not isinstance(value, list) or not all(type(i) is int and i >= 0 for i in value):
            raise self.error(name, "a list of layer numbers")
        return frozenset(value)

    def words(self, name: str, *, allowed: tuple[str, ...], length: int) -> tuple[str, ...] | None:
        """A list of `length` words out of `allowed`; None where there is none."""
        value = self._config.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length or not all(w in allowed for w in value):
            raise self.error(name, f"a list of {length} entries out of {', '.join(allowed)}")
        return tuple(value)

    def table(self, name: str) -> "Fields":
        """A nested object; an empty one where the field is missing or null."""
        value = self._config.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.error(name, "an object")
        return Fields(value or {}, f"{self.source}: {name}")

    def heads(self, *, hidden: str = "hidden_size", heads: str = "num_attention_heads") -> int:
        """The head size where no head_dim says it: width over heads, which must divide."""
        width, count = self.size(hidden), self.size(heads)
        if width % count:
            raise SpecError(
                f"{self.source}: {hidden} {width} is not divisible by {heads} {count}, "
                "and there is no head_dim"
            )
        return width // count

    def kv_heads(self, n_heads: int, *, name: str = "num_key_value_heads", default: int | None) -> int:
        """The number of key/value heads, which must divide the query heads."""
        n_kv_heads = self.size(name, default=default)
        if n_heads % n_kv_heads:
            raise SpecError(
                f"{self.source}: num_attention_heads {n_heads} is not divisible by {name} {n_kv_heads}"
            )
        return n_kv_heads
