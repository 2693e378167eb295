"""Chunk rows of several shards together, whose own columns may differ."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from workbench.collection.shards import CONTENT_HASH


def unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """One schema for shards whose own columns differ; a column of types that do not go together becomes text."""
    if all(schema.equals(schemas[0]) for schema in schemas[1:]):  # nearly always, and comparing text is slow
        return schemas[0] if schemas else pa.schema([])
    distinct = list({str(schema): schema for schema in schemas}.values())
    try:
        return pa.unify_schemas(distinct, promote_options="permissive")
    except pa.ArrowException:
        fields: dict[str, pa.Field] = {}
        for item in (item for schema in distinct for item in schema):
            known = fields.setdefault(item.name, item)
            if known.type != item.type:
                fields[item.name] = pa.field(item.name, pa.string())
        return pa.schema(list(fields.values()))


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables below one another, missing columns filled with null, types brought together as by `unified`."""
    schema = unified([table.schema for table in tables])
    return pa.concat_tables([conform(table, schema) for table in tables])


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`."""
    if table.schema.equals(schema):
        return table
    columns = [
        table.column(item.name).cast(item.type) if item.name in table.schema.names
        else pa.nulls(table.num_rows, item.type)
        for item in schema
    ]
    return pa.table(columns, schema=schema)


def columns_to_name(columns: Sequence[str] | None, schema: pa.Schema) -> list[str] | None:
    """As `readable_columns`; None for all of them, which pyarrow reads without looking names up."""
    names = readable_columns(columns, schema)
    return None if names == schema.names else names


def readable_columns(columns: Sequence[str] | None, schema: pa.Schema) -> list[str]:
    """Columns to read; the content hash only when asked for."""
    if columns is None:
        return [name for name in schema.names if name != CONTENT_HASH]
    return [name for name in columns if name in schema.names]
