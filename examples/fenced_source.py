"""A source whose rows refuse what is older than they are, by hand: one statement for a batch.

Give it the URL of a database to see it there, such as postgresql+psycopg://localhost/test.
"""

from __future__ import annotations

import sys

from sqlalchemy import Engine, create_engine, text

from freshwell import Batch, Write

TABLE = "CREATE TABLE IF NOT EXISTS counts (id BIGINT PRIMARY KEY, count BIGINT, sequence BIGINT)"
# PostgreSQL takes whole columns, which is the fastest there is; SQLite takes row after row.
COLUMNS = """INSERT INTO counts SELECT * FROM unnest
    (CAST(:ids AS BIGINT[]), CAST(:counts AS BIGINT[]), CAST(:sequences AS BIGINT[])) """
ROWS = "INSERT INTO counts VALUES (:id, :count, :sequence) "
UNLESS_LATER = """ON CONFLICT (id) DO UPDATE SET count = excluded.count,
    sequence = excluded.sequence WHERE counts.sequence < excluded.sequence"""


class Counts:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def load(self, id: int) -> int | None:
        with self.engine.connect() as db:
            count: int | None = db.scalar(text("SELECT count FROM counts WHERE id = :i"), {"i": id})
            return count

    def save_many(self, batch: Batch[int, int]) -> None:
        """Store each write of the batch, unless a later one of its id is there."""
        rows = sorted((write.id, write.value, write.sequence) for write in batch.writes)
        with self.engine.begin() as db:  # committed when it returns
            if db.dialect.name == "postgresql":
                ids, counts, sequences = map(list, zip(*rows, strict=True))
                given = {"ids": ids, "counts": counts, "sequences": sequences}
                db.execute(text(COLUMNS + UNLESS_LATER), given)
            else:
                each = [{"id": i, "count": c, "sequence": s} for i, c, s in rows]
                db.execute(text(ROWS + UNLESS_LATER), each)


def main(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(text(TABLE))
    source = Counts(engine)
    first = Batch([Write(id, 10, id, f"{id:032x}", attempt=1) for id in (1, 2)])
    second = Batch([Write(1, 11, 3, f"{3:032x}", attempt=1)])
    for batch in (first, second, first):  # the first again, late: from a process that hung
        source.save_many(batch)
        print({id: source.load(id) for id in (1, 2)})
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sqlite://")
