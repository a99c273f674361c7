"""Every verb once more, in plain Python over a list of row dicts: slow, short, and easy to believe.

Values are Python's; a null is `None`. A predicate is a function of a row that returns True, False or None (SQL's
third value). `fold` rules are those of the API: nulls are left out, an empty sum is 0, all else empty is null.
"""

from collections.abc import Callable, Iterable

Row = dict[str, object]
Rows = list[Row]


def filter_(rows: Rows, predicate: Callable[[Row], bool | None]) -> Rows:
    return [row for row in rows if predicate(row) is True]


def select(rows: Rows, **named: Callable[[Row], object]) -> Rows:
    return [{name: value(row) for name, value in named.items()} for row in rows]


def with_columns(rows: Rows, **named: Callable[[Row], object]) -> Rows:
    return [row | {name: value(row) for name, value in named.items()} for row in rows]


def rename(rows: Rows, names: dict[str, str]) -> Rows:
    return [{names.get(name, name): value for name, value in row.items()} for row in rows]


def drop(rows: Rows, *names: str) -> Rows:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def fill_null(rows: Rows, values: Row) -> Rows:
    return [{name: values.get(name) if value is None else value for name, value in row.items()} for row in rows]


def drop_nulls(rows: Rows, *names: str) -> Rows:
    return [row for row in rows if all(row[name] is not None for name in (names or row))]


def head(rows: Rows, n: int = 5) -> Rows:
    return rows[:n]


def skip(rows: Rows, n: int) -> Rows:
    return rows[n:]


def with_row_index(rows: Rows, name: str) -> Rows:
    return [{name: index} | row for index, row in enumerate(rows)]


def concat(*inputs: Rows) -> Rows:
    return [row for rows in inputs for row in rows]


def present(rows: Rows, name: str) -> list:
    return [row[name] for row in rows if row[name] is not None]


def agg(rows: Rows, **named: Callable[[Rows], object]) -> Rows:
    return [{name: fold(rows) for name, fold in named.items()}]


def total(values: Iterable) -> object:
    return sum(values)


def least(values: list) -> object:
    return min(values, default=None)


def greatest(values: list) -> object:
    return max(values, default=None)


def mean(values: list) -> float | None:
    return sum(values) / len(values) if values else None


# SQL's logic: None is "unknown".


def and_(a: bool | None, b: bool | None) -> bool | None:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def or_(a: bool | None, b: bool | None) -> bool | None:
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def not_(a: bool | None) -> bool | None:
    return None if a is None else not a


def compare(a: object, b: object, test: Callable[[object, object], bool]) -> bool | None:
    return None if a is None or b is None else test(a, b)
