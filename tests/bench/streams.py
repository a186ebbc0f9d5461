"""Pages without a browser: signs in by codes, reads the event stream of each session many times, and causes events.

A JSON list a line: ["open", [[url, count], ...]] -> how many; ["propose", mark] and ["drop", id] -> when it was asked
for, what it is, and how many milliseconds later each stream had it.
"""

import json
import re
import selectors
import socket
import sys
import time

LIMIT_S = 10
waiting = selectors.DefaultSelector()
sessions, streams = [], []


class Reader:
    def __init__(self, connection):
        self.connection, self.bytes = connection, b""
        waiting.register(connection, selectors.EVENT_READ, self)


def request(origin, method, path, session, body=None):
    lines = [f"{method} /v1{path} HTTP/1.1", f"Host: {origin}", "Connection: close", *[f"{k}: {v}" for k, v in session.items()]]
    text = json.dumps(body) if body is not None else ""
    if method != "GET":
        lines += [f"Origin: http://{origin}", "Content-Type: application/json", f"Content-Length: {len(text)}"]
    address, port = origin.split(":")
    s = socket.create_connection((address, int(port)), LIMIT_S)
    return s, ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


def answered(s):
    got = b""
    while d := s.recv(65536):
        got += d
    s.close()
    head, _, body = got.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], got
    return head.decode(), json.loads(body)


def sign_in(url):
    origin, code = re.fullmatch(r"http://([^/]+)/#code=(\w+)", url).groups()
    s, text = request(origin, "POST", "/session", {}, {"code": code})
    s.sendall(text)
    head, body = answered(s)
    cookie = re.search(r"(?i)set-cookie: ([^;]+)", head)[1]
    sessions.append((origin, {"Cookie": cookie, "Clan-Token": body["token"]}))
    return sessions[-1]


def pump(done):
    end = time.time() + LIMIT_S
    while not done():
        assert time.time() < end, "a stream did not hear it"
        for key, _ in waiting.select(end - time.time()):
            some = key.fileobj.recv(65536)
            assert some, "a stream ended"
            key.data.bytes += some


def opened(wanted):
    for url, count in wanted:
        origin, session = sign_in(url)
        for _ in range(count):
            s, text = request(origin, "GET", "/stream", session)
            s.sendall(text)
            streams.append(Reader(s))
    pump(lambda: all(b'"topic":"activity"' in r.bytes for r in streams))  # the last of the snapshots
    return len(streams)


def caused(method, path, body, mark):
    origin, session = sessions[0]
    for r in streams:
        r.bytes = b""
    s, text = request(origin, method, path, session, body)
    began, heard = time.time(), {}
    s.sendall(text)

    def done():
        now = time.time()
        for i, r in enumerate(streams):
            if i not in heard and mark in r.bytes:
                heard[i] = (now - began) * 1000
        return len(heard) == len(streams)

    pump(done)
    return {"began": began * 1000, "answer": answered(s)[1], "heard": list(heard.values())}


def main():
    for line in sys.stdin:
        verb, what = json.loads(line)
        if verb == "open":
            answer = opened(what)
        elif verb == "propose":
            answer = caused("POST", "/proposals", {"words": ["invite", "--for", what]}, what.encode())
        else:
            answer = caused("DELETE", f"/proposals/{what}", {}, b'"del":["%d"]' % what)
        print(json.dumps(answer), flush=True)


main()
