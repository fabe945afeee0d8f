"""Is what an engine wrote what it was given? And with which compression?

check.py SPEC, where SPEC is a JSON file: files (globs of Parquet), facts (what the generator knows), sample_pages.
Prints one line of JSON: what was found, and in `wrong` what is not as it should be.

The level of zstd stands nowhere in a file, so it is found out: some of the largest pages are decompressed and compressed
again at each level, and the level that comes nearest in size is the one.
"""

import glob
import json
import sys

import duckdb
import pyarrow
from pyarrow import parquet


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def thrift(data, at):
    """A struct of Thrift's compact protocol as {field: value}, and where it ends."""
    fields, last = {}, 0
    while data[at]:
        kind, step = data[at] & 0x0F, data[at] >> 4
        at += 1
        if step:
            last += step
        else:
            number, at = varint(data, at)
            last = (number >> 1) ^ -(number & 1)
        fields[last], at = thrift_value(kind, data, at)
    return fields, at + 1


def thrift_value(kind, data, at):
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return data[at], at + 1
    if kind in (4, 5, 6):
        number, at = varint(data, at)
        return (number >> 1) ^ -(number & 1), at
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = varint(data, at)
        return data[at : at + length], at + length
    if kind == 12:
        return thrift(data, at)
    raise ValueError(f"Thrift type {kind} in a page header")


def pages(file, chunk):
    """The compressed and decompressed size of the pages of a column chunk, and their compressed bytes."""
    begin = chunk.data_page_offset
    if chunk.has_dictionary_page:
        begin = min(begin, chunk.dictionary_page_offset)
    file.seek(begin)
    data = file.read(chunk.total_compressed_size)
    at = 0
    while at < len(data):
        header, at = thrift(data, at)
        plain, packed = header[2], header[3]
        # In a page of version 2 the levels stand in front, not compressed.
        second = header.get(8, {})
        levels = second.get(5, 0) + second.get(6, 0)
        if second.get(7, True) and plain > levels:
            yield plain - levels, data[at + levels : at + packed]
        at += packed


def zstd_level(paths, wanted):
    """The level that comes nearest over sampled pages, and how far off it is on average."""
    chunks = []
    for path in paths:
        footer = parquet.ParquetFile(path).metadata
        for group in range(footer.num_row_groups):
            row_group = footer.row_group(group)
            for at in range(row_group.num_columns):
                chunk = row_group.column(at)
                if chunk.compression == "ZSTD":
                    chunks.append((chunk.total_compressed_size, path, chunk))
    chunks.sort(key=lambda chunk: -chunk[0])
    samples = []
    for _, path, chunk in chunks[:: max(1, len(chunks) // (4 * wanted))][:wanted]:
        with open(path, "rb") as file:
            plain_size, packed = max(pages(file, chunk), key=lambda page: page[0])
        samples.append((pyarrow.Codec("zstd").decompress(packed, plain_size), len(packed)))
    best = None
    for level in range(1, 20):
        codec = pyarrow.Codec("zstd", level)
        miss = sum(abs(len(codec.compress(plain)) - size) / size for plain, size in samples) / len(samples)
        if best is None or miss < best[0]:
            best = (miss, level)
        elif level > best[1] + 3:
            break  # High levels take long, and sizes only move further away.
    return {"level": best[1], "mean_miss": round(best[0], 5), "pages": len(samples)}


def footers(paths):
    codecs, blooms, groups = set(), set(), []
    for path in paths:
        footer = parquet.ParquetFile(path).metadata
        for group in range(footer.num_row_groups):
            row_group = footer.row_group(group)
            groups.append(row_group.num_rows)
            for at in range(row_group.num_columns):
                codecs.add(row_group.column(at).compression)
                if row_group.column(at).bloom_filter_offset is not None:
                    blooms.add(row_group.column(at).path_in_schema)
    return {
        "files": len(paths),
        "row_groups": len(groups),
        "row_group_rows": sorted(groups)[len(groups) // 2],
        "codecs": sorted(codecs),
        "bloom_columns": sorted(blooms),
    }


def out_of_order(paths, time):
    """Rows whose time is before that of the row above them in the same file."""
    found = 0
    for path in paths:
        times = parquet.read_table(path, columns=[time]).column(0).cast(pyarrow.int64()).to_numpy()
        found += int((times[1:] < times[:-1]).sum())
    return found


def contents(paths, facts):
    """Counts that a file which lost or changed records would hardly get right."""
    base = duckdb.connect()
    base.execute("SET TimeZone = 'UTC'")
    base.read_parquet(paths, union_by_name=True).create_view("answers")
    column, _ = facts["distinct"]
    asked = ["count(*)", f'epoch_us(min("{facts["time"]}"))', f'epoch_us(max("{facts["time"]}"))', f'count(DISTINCT "{column}")']
    if facts["nested_distinct"]:
        (outer, member), _ = facts["nested_distinct"]
        kind = base.execute(f'SELECT typeof("{outer}") FROM answers LIMIT 1').fetchone()[0]
        path = f'"{outer}"."{member}"' if kind.startswith("STRUCT") else f"json_extract_string(\"{outer}\", '$.{member}')"
        asked.append(f"count(DISTINCT {path})")
    return list(base.execute(f"SELECT {', '.join(asked)} FROM answers").fetchone())


def main(spec):
    facts = spec["facts"]
    paths = sorted(path for pattern in spec["files"] for path in glob.glob(pattern))
    expected = [facts["records"], facts["first_micros"], facts["last_micros"], facts["distinct"][1]]
    names = ["rows", "earliest", "latest", f"distinct {facts['distinct'][0]}"]
    if facts["nested_distinct"]:
        expected.append(facts["nested_distinct"][1])
        names.append("distinct " + ".".join(facts["nested_distinct"][0]))
    found = contents(paths, facts)
    # Who rounds the seventh digit of a time instead of cutting it off is as right.
    slack = [0, 1, 1, 0, 0]
    wrong = [
        f"{name}: {got} instead of {want}"
        for name, got, want, near in zip(names, found, expected, slack)
        if got is None or abs(got - want) > near
    ]
    disorder = out_of_order(paths, facts["time"])
    if disorder:
        wrong.append(f"{disorder} rows out of order")
    written = footers(paths)
    if written["codecs"] != ["ZSTD"]:
        wrong.append(f"codecs: {written['codecs']}")
    print(json.dumps({"wrong": wrong, "zstd": zstd_level(paths, spec["sample_pages"]), **written}))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(json.load(file))
