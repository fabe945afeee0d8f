"""A double of the part of Google Cloud Storage's XML API that is used here, in memory.

There is no server of it to be had. What it keeps to: generations, `x-goog-if-generation-match` on puts and deletes, etags
on reads, listings in pages with prefix, delimiter and start, multipart uploads. It listens on a port that the system
chooses and says so.
"""

import email.utils
import hashlib
import itertools
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS = {}
UPLOADS = {}
LOCK = threading.Lock()
GENERATIONS = itertools.count(1_700_000_000_000_000)
MATCH = "x-goog-if-generation-match"


class Kept:
    def __init__(self, data):
        self.data = data
        self.generation = next(GENERATIONS)
        self.etag = '"' + hashlib.md5(data + str(self.generation).encode()).hexdigest() + '"'
        self.time = time.time()

    def headers(self):
        return {
            "ETag": self.etag,
            "x-goog-generation": str(self.generation),
            "Last-Modified": email.utils.formatdate(self.time, usegmt=True),
            "Content-Type": "application/octet-stream",
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None, length=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def asked(self):
        """The object's (bucket, name), and the query."""
        parts = urlsplit(self.path)
        bucket, _, name = parts.path.lstrip("/").partition("/")
        query = parse_qs(parts.query, keep_blank_values=True)
        return (unquote(bucket), unquote(name)), {key: values[0] for key, values in query.items()}

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def holds(self, there):
        wanted = self.headers.get(MATCH)
        return wanted is None or int(wanted) == (there.generation if there else 0)

    def keep(self, at, data):
        with LOCK:
            if not self.holds(OBJECTS.get(at)):
                return self.refuse(412, "PreconditionFailed")
            kept = OBJECTS[at] = Kept(data)
        self.answer(200, b"", {"ETag": kept.etag, "x-goog-generation": str(kept.generation)})

    def do_PUT(self):
        at, query = self.asked()
        data = self.body()
        if "uploadId" in query:
            UPLOADS[query["uploadId"]][int(query["partNumber"])] = data
            return self.answer(200, b"", {"ETag": f'"{hashlib.md5(data).hexdigest()}"'})
        self.keep(at, data)

    def do_POST(self):
        at, query = self.asked()
        data = self.body()
        if "uploads" in query:
            upload = f"upload{next(GENERATIONS)}"
            UPLOADS[upload] = {}
            text = f"<Bucket>{at[0]}</Bucket><Key>{escape(at[1])}</Key><UploadId>{upload}</UploadId>"
            return self.answer(
                200, f"<InitiateMultipartUploadResult>{text}</InitiateMultipartUploadResult>".encode()
            )
        parts = UPLOADS.pop(query.get("uploadId"), None)
        if parts is None:
            return self.refuse(404, "NoSuchUpload")
        numbers = re.findall(r"<PartNumber>(\d+)</PartNumber>", data.decode())
        with LOCK:
            kept = OBJECTS[at] = Kept(b"".join(parts[int(number)] for number in numbers))
        text = f"<Bucket>{at[0]}</Bucket><Key>{escape(at[1])}</Key><ETag>{kept.etag}</ETag>"
        self.answer(
            200,
            f"<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>".encode(),
            {"x-goog-generation": str(kept.generation)},
        )

    def do_DELETE(self):
        at, query = self.asked()
        if "uploadId" in query:
            UPLOADS.pop(query["uploadId"], None)
            return self.answer(204)
        with LOCK:
            there = OBJECTS.get(at)
            if there is None:
                return self.refuse(404, "NoSuchKey")
            if not self.holds(there):
                return self.refuse(412, "PreconditionFailed")
            del OBJECTS[at]
        self.answer(204)

    def do_GET(self):
        at, query = self.asked()
        if not at[1]:
            return self.list(at[0], query)
        kept = OBJECTS.get(at)
        if kept is None:
            return self.refuse(404, "NoSuchKey")
        if self.headers.get("If-Match") not in (None, kept.etag):
            return self.refuse(412, "PreconditionFailed")
        headers, data = kept.headers(), kept.data
        if self.command == "HEAD":
            return self.answer(200, b"", headers, len(data))
        wanted = re.match(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if not wanted:
            return self.answer(200, data, headers)
        if wanted[1]:
            start, end = int(wanted[1]), min(int(wanted[2]) + 1 if wanted[2] else len(data), len(data))
        else:
            start, end = max(0, len(data) - int(wanted[2])), len(data)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self.answer(206, data[start:end], headers)

    do_HEAD = do_GET

    def list(self, bucket, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        most = int(query.get("max-keys", 1000))
        with LOCK:
            names = sorted(name for at, name in OBJECTS if at == bucket and name.startswith(prefix) and name > after)
            kept = {name: OBJECTS[bucket, name] for name in names}
        found, folders, last, more = "", {}, "", False
        for number, name in enumerate(names):
            if number >= most:
                more = True
                break
            last = name
            rest = name[len(prefix):]
            if delimiter and delimiter in rest:
                folders[prefix + rest.split(delimiter)[0] + delimiter] = None
                continue
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(kept[name].time))
            found += (
                f"<Contents><Key>{escape(name)}</Key><Generation>{kept[name].generation}</Generation>"
                f"<LastModified>{stamp}</LastModified><ETag>{escape(kept[name].etag)}</ETag>"
                f"<Size>{len(kept[name].data)}</Size></Contents>"
            )
        found += "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders)
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        text = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><IsTruncated>{str(more).lower()}</IsTruncated>"
        self.answer(200, f"<ListBucketResult>{text}{token}{found}</ListBucketResult>".encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"listening at http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
