"""Pipes, packed files and URLs read as the file they stand for, and never end in silence."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from evalkit.errors import (
    DataError,
    EvalkitError,
    MissingDependencyError,
    ServiceError,
    UsageError,
)
from evalkit.records.addresses import parts, plain_suffix, public, scrubbed, stem
from evalkit.records.example import System
from evalkit.records.reading import ReadOptions, read_systems
from evalkit.records.remote import failure
from tests.conftest import Command

zstandard = pytest.importorskip("zstandard", reason="reading .zst needs the extra io")

ROWS = [{"id": i, "prediction": f"naïve {i * 7919 % 10007}", "ref": "x"} for i in range(20000)]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
IMAGES = {
    "images": [{"id": 7, "width": 100, "height": 80}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12}],
    "categories": [{"id": 3, "name": "car"}],
}


def delimited(by: str) -> bytes:
    rows = [list(ROWS[0]), *(map(str, row.values()) for row in ROWS)]
    return "".join(by.join(row) + "\n" for row in rows).encode()


def compress_zstd(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True)
    packed: bytes = packer.compress(content)
    return packed


FORMS = {
    "jsonl": JSONL,
    "json": json.dumps(ROWS).encode(),
    "tsv": delimited("\t"),
    "csv": delimited(","),
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": compress_zstd,
    ".zstd": lambda content: b"".join(
        [
            b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc",  # a frame to skip, as parallel zstd writes
            *(compress_zstd(content[i : i + 99_999]) for i in range(0, len(content), 99_999)),
        ]
    ),
}


def read(address: object, *refs: object, kind: str | None = None, **options: object) -> System:
    made = ReadOptions(**options)  # type: ignore[arg-type]
    (system,) = read_systems([str(address)], [str(one) for one in refs], made, kind)
    return system


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> System:
    path = tmp_path_factory.mktemp("expected") / "a.jsonl"
    path.write_bytes(JSONL)
    return read(path)


def same(found: System, expected: System) -> None:
    assert found.predictions_digest == expected.predictions_digest
    assert found.references_digest == expected.references_digest


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("form", FORMS)
def test_packed_files_of_every_format(
    tmp_path: Path, expected: System, form: str, suffix: str
) -> None:
    path = tmp_path / f"a.{form}{suffix}"
    packed = PACKED[suffix](FORMS[form])
    path.write_bytes(packed)
    found = read(path)
    same(found, expected)
    assert (found.name, found.files) == ("a", {str(path): hashlib.sha256(packed).hexdigest()})
    unnamed = tmp_path / f"b.{form}"
    unnamed.write_bytes(packed)
    same(read(unnamed), expected)


@pytest.mark.parametrize("suffix", PACKED)
def test_packed_text_and_coco(tmp_path: Path, suffix: str) -> None:
    pack = PACKED[suffix]
    (tmp_path / f"a.txt{suffix}").write_bytes(pack(b"x\ny\n"))
    (tmp_path / f"r.txt{suffix}").write_bytes(pack(b"x\nz\n"))
    system = read(tmp_path / f"a.txt{suffix}", tmp_path / f"r.txt{suffix}")
    assert [one.references for one in system.examples] == [("x",), ("z",)]
    results = [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
    (tmp_path / f"b.json{suffix}").write_bytes(pack(json.dumps(results).encode()))
    (tmp_path / f"i.json{suffix}").write_bytes(pack(json.dumps(IMAGES).encode()))
    assert read(tmp_path / f"b.json{suffix}", tmp_path / f"i.json{suffix}").kind == "boxes"


@pytest.mark.parametrize("suffix", PACKED)
def test_a_cut_file_is_never_a_shorter_one(tmp_path: Path, suffix: str) -> None:
    packed = PACKED[suffix](JSONL)
    path = tmp_path / f"a.jsonl{suffix}"
    for cut in (1, 2, 5, 17, len(packed) // 3, len(packed) // 2, len(packed) - 12):
        path.write_bytes(packed[:-cut])
        with pytest.raises(DataError, match=r"damaged|not valid") as caught:
            read(path)
        assert str(path) in str(caught.value.where)
    for place in range(40, len(packed) - 40, len(packed) // 23):
        damaged = bytearray(packed)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(path) in str(caught.value.where)
    path.write_bytes(packed + b"garbage")
    with pytest.raises(DataError, match="damaged"):
        read(path)


@pytest.mark.parametrize("pack", ["", *PACKED])
@pytest.mark.parametrize("form", ["jsonl", "json", "tsv"])
def test_stdin_is_told_by_how_it_begins(
    tmp_path: Path, evalkit_command: Command, form: str, pack: str
) -> None:
    rows = [{"id": i, "mt": "a b", "ref": "a b"} for i in range(9)]
    content = {
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "json": json.dumps(rows, indent=1),
        "tsv": "id\tmt\tref\n" + "".join("\t".join(map(str, row.values())) + "\n" for row in rows),
    }[form].encode()
    content = PACKED[pack](content) if pack else content
    chosen = ("--format", "tsv") if form == "tsv" else ()
    command = ("score", "-", "-m", "exact_match", "-q", "--json", *chosen)
    (tmp_path / "piped").write_bytes(content)
    with (tmp_path / "piped").open("rb") as piped:
        done = evalkit_command(*command, stdin=piped)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert (result["system"], result["scores"][0]["value"]) == ("stdin", 1)


def test_errors_on_stdin_name_its_line(evalkit_command: Command) -> None:
    row = '{"id": 1, "mt": "a", "ref": "b"}\n'
    done = evalkit_command("score", "-", "-m", "bleu", input=row + row)
    assert done.returncode == 2
    assert done.stderr == (
        'evalkit: error: <stdin>:2: id "1" already appeared at <stdin>:1; ids must be unique\n'
    )


def test_references_and_coco_from_stdin(tmp_path: Path, evalkit_command: Command) -> None:
    results = [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]
    (tmp_path / "a.json").write_text(json.dumps(results))
    for indent in (None, 2):
        done = evalkit_command(
            *("score", "a.json", "--refs", "-", "--no-save", "--json", "-m", "coco_ap"),
            input=json.dumps(IMAGES, indent=indent),
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["results"][0]["scores"][0]["value"] > 0.99


def test_boxes_on_stdin_need_no_flag(tmp_path: Path, evalkit_command: Command) -> None:
    (tmp_path / "i.json").write_text(json.dumps(IMAGES))
    row = {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}
    command = ("score", "-", "--refs", "i.json", "--no-save", "--json")
    done = evalkit_command(*command, input=json.dumps(row) + "\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][0]["scores"][0]["metric"] == "coco_ap"


def test_a_pipe_with_a_name_is_told_by_how_it_begins(tmp_path: Path, expected: System) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(PACKED[".gz"](JSONL),))
    writer.start()
    same(read(path), expected)
    writer.join()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_urls(tmp_path: Path, expected: System, scheme: str, suffix: str) -> None:
    folder = tmp_path if scheme == "file" else "/bucket"
    content = PACKED[suffix](JSONL) if suffix else JSONL
    url = f"{scheme}://{folder}/Online-W.jsonl{suffix}"
    with fsspec.open(url, "wb") as stream:
        stream.write(content)
    found = read(url)
    same(found, expected)
    assert found.name == "Online-W"
    assert found.sources == (url,)
    assert list(found.files.values()) == [hashlib.sha256(content).hexdigest()]
    references = f"{scheme}://{folder}/refs.jsonl"
    with fsspec.open(references, "wb") as stream:
        stream.write(JSONL.replace(b"prediction", b"was"))
    same(read(url, references), expected)
    assert read(f"B={url}").name == "B"


class Server(http.server.BaseHTTPRequestHandler):
    """/ok/…: the records; /cut/…: half of what is announced; /packed/…: as a browser wants it."""

    asked: list[str]
    user: str | None = None

    def do_GET(self) -> None:
        self.asked.append(self.path)
        Server.user = self.headers.get("Authorization")
        _, what, *_ = self.path.split("/")
        if what.isdecimal():
            self.send_error(int(what), "token=swordfish is wrong")
            return
        content = gzip.compress(JSONL) if ".gz" in self.path else JSONL
        if ".parquet" in self.path:
            content = (Path(self.path[3:])).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        if what == "packed":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if what == "cut" else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="https:// needs the extra io")
    Server.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("name", ["ok/My%20System.jsonl", "ok/a.jsonl.gz", "packed/a.jsonl.gz"])
def test_http(expected: System, web: str, name: str) -> None:
    Server.asked.clear()
    found = read(f"http://{web}/{name}?token=swordfish")
    same(found, expected)
    assert found.name in ("My System", "a")
    assert found.sources == (f"http://{web}/{name}?***",)
    assert Server.asked == [f"/{name}?token=swordfish"]  # once


def test_parquet_over_http(tmp_path: Path, expected: System, web: str) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    found = read(f"http://{web}/ok{tmp_path}/a.parquet")
    same(found, expected)
    content = (tmp_path / "a.parquet").read_bytes()
    assert list(found.files.values()) == [hashlib.sha256(content).hexdigest()]
    (tmp_path / "b.parquet.zst").write_bytes(zstandard.compress(content))
    same(read(tmp_path / "b.parquet.zst"), expected)


@pytest.mark.parametrize(
    ("path", "kind", "says"),
    [
        ("404/a.jsonl", DataError, "no such file; check the address"),
        ("403/a.jsonl", ServiceError, "access denied .HTTP 403 .*check the credentials"),
        ("500/a.jsonl", ServiceError, "cannot be read: HTTP 500 .*try again"),
        ("cut/a.jsonl", ServiceError, "cannot be read: ClientPayloadError"),
        ("cut/a.jsonl.gz", ServiceError, "cannot be read: ClientPayloadError"),
    ],
)
def test_http_errors_say_which_and_keep_the_secret(
    web: str, path: str, kind: type[EvalkitError], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        read(f"http://ann:swordfish@{web}/{path}?token=swordfish&x=1")
    assert type(caught.value) is kind
    assert caught.value.where == f"http://***@{web}/{path}?***"
    assert "swordfish" not in str(caught.value)
    assert "Basic" in str(Server.user)


def test_secrets_reach_neither_results_nor_messages(
    tmp_path: Path, evalkit_command: Command, web: str
) -> None:
    ok = f"http://ann:swordfish@{web}/ok/a.jsonl?token=swordfish"
    done = evalkit_command("score", ok, "-m", "exact_match", "--resamples", 100, "--json")
    assert done.returncode == 0, done.stderr
    assert "swordfish" not in done.stdout + done.stderr
    stored = (tmp_path / "results").rglob("*")
    written = {path.name: path.read_bytes() for path in stored if path.is_file()}
    assert [name for name, content in written.items() if b"swordfish" in content] == []
    wrongs = {ok.replace("/ok/", "/500/"): 4, ok.replace("/ok/", "/404/"): 2, f"={ok}": 2}
    for wrong, code in wrongs.items():
        done = evalkit_command("score", wrong, f"A={ok}", "-m", "bleu", "--json")
        assert done.returncode == code
        assert "swordfish" not in done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_exit_code_4(evalkit_command: Command) -> None:
    pytest.importorskip("aiohttp")
    done = evalkit_command("score", "http://127.0.0.1:9/a.jsonl", "--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"]["kind"] == "service"
    assert "http://127.0.0.1:9/a.jsonl: cannot be read: ClientConnectorError" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("preds.jsonl", "preds.jsonl"),
        ("s3://bucket/a@b/c.jsonl", "s3://bucket/a@b/c.jsonl"),
        ("https://host/a.jsonl", "https://host/a.jsonl"),
        ("https://ann@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://ann:p@ss@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://ann:p/ss@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://ann:p?s#s@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://ann:p s'\"@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://host/a.jsonl?X-Amz-Signature=1#x", "https://host/a.jsonl?***"),
        ("https://host/a.jsonl#access_token=1", "https://host/a.jsonl?***"),
        ("http://[::1]:8000/a.jsonl?t=1", "http://[::1]:8000/a.jsonl?***"),
        ("A=https://u:p@host/a.jsonl", "A=https://***@host/a.jsonl"),
        ("zip://a.jsonl::https://u:p@h/x.zip?t=1", "zip://a.jsonl::https://***@h/x.zip?***"),
        ("simplecache::s3://bucket/a.jsonl", "simplecache::s3://bucket/a.jsonl"),
        ("github://owner:repository@main/a.jsonl", "github://owner:repository@main/a.jsonl"),
    ],
)
def test_public_addresses(address: str, shown: str) -> None:
    assert public(address) == shown
    assert public(shown) == shown
    if "=" not in address.partition(":")[0]:
        assert (stem(address), plain_suffix(address)) in (
            ("a", ".jsonl"),
            ("preds", ".jsonl"),
            ("c", ".jsonl"),
        )
        assert not {"u:p@h", "ann:p"} & set(parts(address))


def test_messages_of_others_are_scrubbed() -> None:
    address = "https://ann:sword%2Ffish@host/a.jsonl?token=trout%3D"
    for said in (
        "cannot GET https://ann:sword%2Ffish@host/a.jsonl?token=trout%3D now",
        "Max retries exceeded with url: /a.jsonl?token=trout= (user ann:sword/fish)",
        "bad token 'trout='\nsword/fish",
    ):
        found = scrubbed(said, address)
        assert not [one for one in ("sword", "trout", "\n") if one in found], found


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://b/a.jsonl", "s3:// needs s3fs: pip install s3fs"),
        ("gs://b/a.jsonl", "gs:// needs gcsfs: pip install gcsfs"),
        ("az://b/a.jsonl", "az:// needs adlfs: pip install adlfs"),
        ("sftp://h/a.jsonl", "sftp:// needs paramiko: pip install paramiko"),
        ("https://h/a.jsonl", "https:// needs aiohttp>=3.9 (extra `io`): pip install aiohttp"),
    ],
)
def test_a_missing_driver_is_named(address: str, says: str) -> None:
    error = failure(ImportError("two\nlines"), address)
    assert isinstance(error, MissingDependencyError)
    assert str(error) == f"{address}: {says}"


@pytest.mark.parametrize(
    ("library", "address", "says"),
    [
        ("pyarrow", "a.parquet", r"pyarrow>=20 \(extra `io`\): pip install pyarrow"),
        ("zstandard", "a.jsonl.zst", r"zstandard>=0.22 \(extra `io`\): pip install zstandard"),
        ("aiohttp", "http://h/a.jsonl", r"aiohttp>=3.9 \(extra `io`\): pip install aiohttp"),
    ],
)
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, address: str, says: str
) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "a.jsonl.zst").write_bytes(compress_zstd(JSONL))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match=says) as caught:
        read(address)
    assert caught.value.where == address


def test_the_line_before_the_damage_is_named(tmp_path: Path) -> None:
    half = JSONL.index(b"\n", 5000) + 1
    packed = gzip.compress(JSONL[:half]) + gzip.compress(JSONL[half : 2 * half])[:-20]
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match=r"after line (\d+)") as caught:
        read(tmp_path / "a.jsonl.gz")
    assert int(caught.value.message.split("line ")[1].split()[0]) >= JSONL[:half].count(b"\n")


def test_what_no_file_system_knows() -> None:
    with pytest.raises(UsageError, match='no file system is called "htps"; did you mean "https"'):
        read("htps://bucket/a.jsonl")
    with pytest.raises(DataError, match="no such file; check the address"):
        read("memory://nowhere/a.jsonl")


def test_stdin_is_read_once() -> None:
    for files in (["-", "A=-"], ["-"]):
        with pytest.raises(UsageError, match="can be read only once"):
            read_systems(files, ["-"], ReadOptions())
