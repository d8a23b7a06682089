"""The store: one SQLite file. The only package that knows SQL.

Every function takes a `Tx` and belongs into a transaction of `Database`.
"""

from sqlite3 import Connection as Tx

from mnesis.store.database import Database

__all__ = ["Database", "Tx"]
