"""What each engine does, tuned as its documentation advises: raw NDJSON to one zstd Parquet file sorted by time.

engines.py ENGINE SPEC, where SPEC is a JSON file: raw (glob), out (file), columns ([name, kind]), time, level, threads,
row_group_rows. Column types are told, never guessed. No engine writes bloom filters: not all of them can choose columns.
docs/BENCHMARKS.md says why each option is as it is.
"""

import glob
import json
import os
import sys


def duckdb(spec, pages="V1"):
    import duckdb

    kinds = {"text": "VARCHAR", "integer": "BIGINT", "boolean": "BOOLEAN", "time": "TIMESTAMPTZ", "nested": "JSON"}
    columns = ", ".join(f"'{name}': '{kinds[kind]}'" for name, kind in spec["columns"])
    base = duckdb.connect()
    base.execute(f"SET threads = {spec['threads']}; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    base.execute(
        f"""COPY (SELECT * FROM read_json('{spec["raw"]}', format = 'newline_delimited', columns = {{{columns}}})
        ORDER BY "{spec["time"]}") TO '{spec["out"]}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {spec["level"]},
        ROW_GROUP_SIZE {spec["row_group_rows"]}, PARQUET_VERSION {pages}, WRITE_BLOOM_FILTER false)"""
    )


def chdb(spec):
    import chdb

    kinds = {
        "text": "Nullable(String)",
        "integer": "Nullable(Int64)",
        "boolean": "Nullable(Bool)",
        "time": "Nullable(DateTime64(6, \\'UTC\\'))",
        "nested": "Nullable(String)",
    }
    columns = ", ".join(f"`{name}` {kinds[kind]}" for name, kind in spec["columns"])
    settings = {
        "max_threads": spec["threads"],
        "date_time_input_format": "'best_effort'",
        "input_format_json_read_objects_as_strings": 1,
        "input_format_json_read_arrays_as_strings": 1,
        "output_format_parquet_compression_method": "'zstd'",
        "output_format_compression_level": spec["level"],
        "output_format_parquet_row_group_size": spec["row_group_rows"],
        "output_format_parquet_write_bloom_filter": 0,
        "engine_file_truncate_on_insert": 1,
    }
    told = ", ".join(f"{name} = {value}" for name, value in settings.items())
    chdb.query(
        f"""INSERT INTO FUNCTION file('{spec["out"]}', 'Parquet')
        SELECT * FROM file('{spec["raw"]}', 'JSONEachRow', '{columns}') ORDER BY `{spec["time"]}` SETTINGS {told}"""
    )


def polars(spec):
    os.environ["POLARS_MAX_THREADS"] = str(spec["threads"])
    import polars

    kinds = {"integer": polars.Int64, "boolean": polars.Boolean}
    schema = {name: kinds.get(kind, polars.String) for name, kind in spec["columns"]}
    times = [
        polars.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")
        for name, kind in spec["columns"]
        if kind == "time"
    ]
    rows = polars.scan_ndjson(sorted(glob.glob(spec["raw"])), schema=schema).with_columns(times).sort(spec["time"])
    rows.sink_parquet(
        spec["out"], compression="zstd", compression_level=spec["level"], row_group_size=spec["row_group_rows"]
    )


def pyarrow(spec):
    import pyarrow
    from pyarrow import json as reader
    from pyarrow import parquet

    pyarrow.set_cpu_count(spec["threads"])
    kinds = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "boolean": pyarrow.bool_(),
        # Read as nanoseconds, since it refuses a seventh digit otherwise; written as microseconds.
        "time": pyarrow.timestamp("ns", "UTC"),
    }
    # Objects cannot be read as text: their members are found in each file, and the files' members united.
    told = [(name, kinds[kind]) for name, kind in spec["columns"] if kind in kinds]
    if ["userIdentity", "nested"] in spec["columns"]:
        # Always empty here, and Parquet has no objects without members: the member it may have, by its documentation.
        federation = pyarrow.struct([("federatedProvider", pyarrow.string())])
        context = pyarrow.struct([("webIdFederationData", federation)])
        told.append(("userIdentity", pyarrow.struct([("sessionContext", context)])))
    options = reader.ParseOptions(explicit_schema=pyarrow.schema(told))
    blocks = reader.ReadOptions(block_size=4 << 20)
    parts = [reader.read_json(path, blocks, options) for path in sorted(glob.glob(spec["raw"]))]
    rows = pyarrow.concat_tables(parts, promote_options="permissive")
    del parts
    rows = rows.sort_by(spec["time"])
    parquet.write_table(
        rows,
        spec["out"],
        compression="zstd",
        compression_level=spec["level"],
        row_group_size=spec["row_group_rows"],
        coerce_timestamps="us",
        allow_truncated_timestamps=True,
    )


ENGINES = {
    "DuckDB": duckdb,
    "DuckDB-V2": lambda spec: duckdb(spec, "V2"),
    "ClickHouse": chdb,
    "Polars": polars,
    "PyArrow": pyarrow,
}

if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        ENGINES[sys.argv[1]](json.load(file))
