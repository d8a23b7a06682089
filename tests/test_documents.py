"""Reading on in files that hold text without being text: the pages of a PDF, the rows of sheets and tables."""

import io
import random
import re
import subprocess
import sys
import zipfile
from datetime import date

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest
from test_files import answers
from workers import output

from mnesis import FileConfig, MnesisConfig

READ, SEARCH = "mnesis_read_file", "mnesis_search_file"


@pytest.fixture
def config(tmp_path) -> MnesisConfig:
    return MnesisConfig(file=FileConfig(inline_threshold=0, storage_dir=tmp_path / "kept"))


def pdf(path, pages, password=None):
    """A PDF of these pages, each a list of lines."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    font = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    kids = []
    for lines in pages:
        text = b"BT /F1 12 Tf 14 TL 10 700 Td %s ET" % b" ".join(b"(%s) Tj T*" % line.encode() for line in lines)
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents %d 0 R /Resources %s >>"
            % (len(objects) + 2, font)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % n for n in kids), len(kids))
    body, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    body += b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        *(len(objects) + 1, table, len(objects) + 1),
        len(body),
    )
    if password:
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(body))
        writer.encrypt(password, algorithm="RC4-128")
        writer.write(path)
    else:
        path.write_bytes(body)
    return path


def workbook(path, sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def body(answer):
    """What stands between the labels of an answer."""
    return answer.partition("]\n")[2].rpartition("\n[end of ")[0].split("\n")


# -- where lines are --------------------------------------------------------------------------------------------------


async def test_the_text_of_a_pdf_is_lines_with_a_mark_for_each_page(store_path, config, tmp_path):
    path = pdf(tmp_path / "a.pdf", [["Hello,", "world."], [], [f"line {n}" for n in range(30)]])
    whole, later, found, beyond = await answers(
        *(store_path, config, path),
        (READ, {}),
        (READ, {"start": 5, "lines": 3}),
        (SEARCH, {"pattern": "LINE 2."}),
        (READ, {"start": 99}),
    )
    lines = ["[page 1 of 3]", "Hello,", "world.", "[page 2 of 3: no text (it may be a picture)]", "[page 3 of 3]"]
    assert body(whole) == [*lines, *(f"line {n}" for n in range(30))]
    assert body(later) == ["[page 3 of 3]", "line 0", "line 1"]
    assert "more follows from line 8" in later
    assert body(found)[0] == "26: line 20"
    assert len(body(found)) == 10
    assert "it has 35 lines" in beyond


async def test_the_rows_of_sheets_are_lines_in_their_order(store_path, config, tmp_path):
    rows = [["item", "price", "since"], ["tea\twith\nmilk", 3, date(2024, 5, 1)], [], [None, 4.5]]
    path = workbook(tmp_path / "a.xlsx", {"Prices": rows, "Other": [["x"]] * 3})
    whole, later, found = await answers(
        *(store_path, config, path),
        (READ, {}),
        (READ, {"start": 7, "lines": 1}),
        (SEARCH, {"pattern": "^x$", "start": 8}),
    )
    assert body(whole) == [
        "[sheet 1 of 2: Prices]",
        "item\tprice\tsince",
        "tea\\twith\\nmilk\t3\t2024-05-01 00:00:00",
        "",
        "\t4.5",
        "[sheet 2 of 2: Other]",
        *("xxx"),
    ]
    assert body(later) == ["x"]
    assert body(found) == ["8: x", "9: x"]


async def test_the_rows_of_a_parquet_file_are_lines_across_its_row_groups(store_path, config, tmp_path):
    table = pa.table(
        {
            "id": list(range(1_000)),
            "city": [None if n % 3 else f"City {n}" for n in range(1_000)],
            "at": pa.array([n * 1_000_000_007 for n in range(1_000)], pa.timestamp("ns")),
            "tags": [["a", str(n)] for n in range(1_000)],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=300)
    first, later, found, beyond = await answers(
        *(store_path, config, tmp_path / "a.parquet"),
        (READ, {"lines": 2}),
        (READ, {"start": 902, "lines": 20}),
        (SEARCH, {"pattern": "city 99"}),
        (READ, {"start": 2_000}),
    )
    assert body(first)[0] == "id\tcity\tat\ttags"
    assert body(first)[1].startswith("0\tCity 0\t1970-01-01")
    assert [line.split("\t")[0] for line in body(later)] == [str(n) for n in range(900, 920)]
    assert body(later)[1].split("\t")[1:] == ["", "1970-01-01 00:15:01.000006307", "['a', '901']"]
    assert [line.partition(" City")[0] for line in body(found)] == [
        "101: 99",
        "992: 990",
        "995: 993",
        "998: 996",
        "1001: 999",
    ]
    assert "it has 1,001 lines" in beyond


async def test_pages_of_an_answer_put_together_are_the_document(store_path, config, tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"A": [[n, "word " * 40] for n in range(200)]})
    got, start = [], 1
    while start:
        [page] = await answers(store_path, config, path, (READ, {"start": start, "lines": 60}))
        got += body(page)
        more = re.search(r"more follows from line ([\d,]+)", page)
        start = int(more[1].replace(",", "")) if more else 0
    assert got == ["[sheet 1 of 1: A]", *(f"{n}\t{'word ' * 40}" for n in range(200))]


# -- what cannot be read ----------------------------------------------------------------------------------------------


async def test_a_pdf_with_a_password_is_told(store_path, config, tmp_path):
    [told] = await answers(store_path, config, pdf(tmp_path / "a.pdf", [["Hello"]], password="x"), (READ, {}))
    assert "a.pdf cannot be read on in: it is encrypted and needs a password" in told


async def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(store_path, config, tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"A": [["x"]]})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", bytes(200_000_000))
    read, found = await answers(store_path, config, path, (READ, {}), (SEARCH, {"pattern": "x"}))
    assert "it unpacks to 200," in read
    assert "at most 134,217,728 are unpacked; split it" in found


@pytest.mark.parametrize("name", ["a.pdf", "a.xlsx", "a.parquet"])
async def test_a_document_that_is_damaged_since_is_told_with_the_change(store_path, config, tmp_path, name):
    path = tmp_path / name
    if name == "a.pdf":
        pdf(path, [["Hello"]])
    elif name == "a.xlsx":
        workbook(path, {"A": [["x"]]})
    else:
        pq.write_table(pa.table({"a": [1]}), path)
    [told] = await answers(store_path, config, path, (READ, {}), before=lambda: path.write_bytes(b"\0nothing" * 40))
    assert f"{name} cannot be read on in: it is damaged" in told or "File is not a zip file" in told
    assert "(the file has changed since it was attached" in told


async def test_a_row_group_with_a_damaged_page_is_told(store_path, config, tmp_path):
    path = tmp_path / "a.parquet"
    texts = [random.Random(n).randbytes(200).hex() for n in range(100)]
    pq.write_table(pa.table({"a": texts}), path, compression="gzip", use_dictionary=False)

    def damage():
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 500] = b"\xff" * 500
        path.write_bytes(data)

    [told] = await answers(store_path, config, path, (READ, {}), before=damage)
    assert "a.parquet cannot be read on in: it is damaged" in told


async def test_a_sheet_that_says_it_is_endless_is_as_long_as_its_rows(store_path, config, tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"A": [["x"]]})
    with zipfile.ZipFile(path) as archive:
        parts = {each: archive.read(each) for each in archive.namelist()}
    sheet = next(name for name in parts if "sheet1" in name)
    parts[sheet] = (
        parts[sheet].replace(b'ref="A1"', b'ref="A1:XFD1048576"').replace(b'ref="A1:A1"', b'ref="A1:XFD1048576"')
    )
    assert b"XFD1048576" in parts[sheet]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    [page] = await answers(store_path, config, path, (READ, {}))
    assert body(page) == ["[sheet 1 of 1: A]", "x"]


PROGRAM = """
import asyncio, sys
missing = ("openpyxl", "pyarrow", "pypdf")
sys.modules.update(dict.fromkeys(missing))
sys.path.insert(0, sys.argv[2])
from mnesis import FileConfig, MnesisConfig, MnesisSession
from mnesis.errors import FileError
from mnesis.llm.base import ModelLimits
from mnesis.llm.scripted import Reply, ScriptedProvider

async def main():
    config = MnesisConfig(file=FileConfig(inline_threshold=0))
    for path in sys.argv[3:]:
        script = []
        llm = ScriptedProvider([lambda _: script.pop(0)], cycle=True, limits=ModelLimits(100_000, 1_000, tools=True))
        async with MnesisSession.open(model="m", llm=llm, db_path=":memory:", config=config) as session:
            part = await session.attach(path)
            script += [Reply(tool_calls=[{"name": "mnesis_read_file", "arguments": {"id": part.file_id}}]), "ok"]
            await session.send([part])
            print((await session.messages())[-2].parts[0].error_message)

asyncio.run(main())
"""


def test_without_the_parsers_it_is_said_what_to_install(tmp_path):
    paths = [
        pdf(tmp_path / "a.pdf", [["Hello"]]),
        workbook(tmp_path / "a.xlsx", {"A": [["x"]]}),
        tmp_path / "a.parquet",
    ]
    pq.write_table(pa.table({"a": [1]}), paths[-1])
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "", ".", *paths], capture_output=True, text=True, timeout=120, check=True
    )
    for name, parser in (("a.pdf", "pypdf"), ("a.xlsx", "openpyxl"), ("a.parquet", "pyarrow")):
        assert f'{name} is read by {parser}, which is not installed: pip install "mnesis[files]"' in ran.stdout


BIG = """
import sys
from pathlib import Path
from mnesis.files.documents import DocumentLines, opened_document
from mnesis.files.source import opened
import openpyxl, pyarrow.parquet

def peak():  # in MB
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10

before = peak()
path, media_type = sys.argv[1:]
with opened(Path(path)) as content, opened_document(content, media_type, path) as document:
    first, pieces = DocumentLines(document, [0]).begin(1, lambda: False)
    for piece in pieces:
        assert len(piece.text) <= 1 << 16
print(piece.line, peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of memory")
def test_a_long_text_in_many_rows_and_a_long_sheet_are_read_in_little_memory(tmp_path):
    table, sheet = tmp_path / "a.parquet", tmp_path / "a.xlsx"
    texts = pa.DictionaryArray.from_arrays(pa.array([n % 2 for n in range(2_000)], pa.int32()), ["a" * 1_000_000, "b"])
    pq.write_table(pa.table({"a": texts.cast(pa.large_string())}), table)  # two gigabytes of text
    book = openpyxl.Workbook(write_only=True)
    rows = book.create_sheet("A")
    for n in range(60_000):
        rows.append([n, f"word {n % 7}"])
    book.save(sheet)
    for path, media_type, lines in (
        (table, "application/vnd.apache.parquet", 2_001),
        (sheet, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 60_001),
    ):
        done = output(BIG, path, media_type, timeout=120).split()
        assert int(done[0]) == lines
        assert int(done[1]) < 150  # MB
