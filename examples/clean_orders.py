"""Clean a CSV file as shops export them: stray blanks, three words for nothing, prices with signs, mixed case.

    python examples/clean_orders.py

What cannot be cleaned is kept apart with its reason, so that nothing gets lost in silence.
"""

import tempfile
from pathlib import Path

import stream
from stream import col, when

RAW = """\
order id,Customer ,e-mail,Price,qty,ordered
1001, Ada Lovelace ,ADA@EXAMPLE.ORG,"$1,200.50",1,2024-02-29
1002,Grace Hopper,grace@example.org,$80,2,2024-03-01
1003,n/a,nobody@example.org,12.00,-,2024-03-01
1004,"Hopper, Grace", grace@example.org,€7.25,x3,2024-03-02
1005,Alan Turing,alan(at)example.org,$15.00,1,2024-03-02
1006,Edsger Dijkstra,edsger@example.org,free,1,2024-03-04
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "orders.csv"
        raw.write_text(RAW, encoding="utf-8")

        price = col("price").str.replace_all(r"[$€,]", "").cast("float64", strict=False)
        cleaned = (
            stream.read(raw, null_values=["", "n/a", "-"], dtypes={"Price": "string", "qty": "string"})
            .rename(lambda name: name.strip().lower().replace(" ", "_").replace("-", ""))
            .with_columns(
                customer=col("customer").str.strip_chars(),
                email=col("email").str.strip_chars().str.to_lowercase(),
                qty=col("qty").str.replace("x", "", literal=True).cast("int32").fill_null(1),
                raw_price=col("price"),
                price=price,
            )
            .with_columns(
                problem=when(col("customer").is_null())
                .then("no customer")
                .when(~col("email").str.contains("@", literal=True))
                .then("no e-mail address")
                .when(col("price").is_null())
                .then("no price")
                .otherwise(None)
            )
        )

        good = (
            cleaned.filter(col("problem").is_null())
            .drop("problem", "raw_price")
            .with_columns(total=(col("price") * col("qty")).round(2))
        )
        bad = cleaned.filter(col("problem").is_not_null()).select("order_id", "problem", "email", "raw_price")

        kept = good.write_csv(Path(folder) / "clean.csv")
        left = bad.write_csv(Path(folder) / "rejected.csv")
        print(f"{kept.rows_out} orders are clean:")
        print((Path(folder) / "clean.csv").read_text(encoding="utf-8"))
        print(f"{left.rows_out} are not:")
        print((Path(folder) / "rejected.csv").read_text(encoding="utf-8"))

        print("Without the cast that gives null, the first bad value is an error that says where it stands:")
        try:
            stream.read(raw, dtypes={"Price": "float64"}).to_pydict()
        except stream.exceptions.ParseError as error:
            print(f"  line {error.line}, column {error.column!r}, value {error.value!r}")


if __name__ == "__main__":
    main()
