"""Write a table of SQLAlchemy through the cache, with no source written by hand.

Needs the extra freshwell[sqlalchemy].
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine

from freshwell import Cache
from freshwell.sqlalchemy import TableSource

metadata = MetaData()
users_table = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(80), nullable=False),
)


@dataclass(frozen=True)
class User:
    id: int
    name: str


def main() -> None:
    engine = create_engine("sqlite:///users.db")  # or "postgresql+psycopg://..."
    metadata.create_all(engine)

    # Without from_row and to_row, values are dicts of the table's columns.
    source = TableSource(engine, users_table, from_row=lambda row: User(**row), to_row=asdict)
    with Cache() as cache:
        users = cache.write_through(source, key="user:{}", ttl="5m")
        users.put_many({1: User(1, "Ada"), 2: User(2, "Grace")})  # one statement
        print(users.get(1), source.load(1))

        users.put(1, User(1, "Ada Lovelace"))
        print(users.get(1), source.load(1))

        users.delete(1)
        print(users.get(1), users.get(2))
    engine.dispose()


if __name__ == "__main__":
    main()
