# Serves Radicale's WSGI application on the socket that Clan made (descriptor 3); run by Clan, not by hand.
import os
import re
import socket
import sys
import threading
from socketserver import BaseServer, ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import setup_testing_defaults

BODY_MAX = 16 << 20
CALLERS_MAX = 8
NOT_INSTALLED = 3  # the plugin knows this exit status

state = os.path.dirname(os.path.abspath(__file__))
os.environ["RADICALE_CONFIG"] = os.path.join(state, "radicale.conf")
try:
    from radicale import application
except ImportError:
    sys.exit(NOT_INSTALLED)

# a web site that makes its own name point here does not get in: only names of the clan and addresses
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[0-9.]+|[a-z0-9-]+|([a-z0-9-]+\.)+clan\.?)(:[0-9]+)?", re.I)


def refuse(start_response, status):
    start_response(status, [("Content-Length", "0")])
    return [b""]


def guarded(environ, start_response):
    if not HOST.fullmatch(environ.get("HTTP_HOST", "")):
        return refuse(start_response, "403 Forbidden")
    if "HTTP_TRANSFER_ENCODING" in environ:
        return refuse(start_response, "411 Length Required")
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > BODY_MAX:
        return refuse(start_response, "413 Content Too Large")
    return application(environ, start_response)


class Handler(WSGIRequestHandler):
    timeout = 30

    def log_message(self, *args):
        pass


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    free = threading.BoundedSemaphore(CALLERS_MAX)

    def __init__(self, listening):
        # not the constructors between: they make a socket, which is refused here
        BaseServer.__init__(self, listening.getsockname(), Handler)
        self.socket = listening
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()
        self.set_app(guarded)

    def process_request(self, request, client_address):
        self.free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.free.release()
            raise

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request, client_address):
        pass  # a caller that went away


def ask(method, path):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": "0"}
    setup_testing_defaults(environ)
    answers = []
    b"".join(application(environ, lambda status, headers, *more: answers.append(status)))
    return answers[0]


def first_calendar():
    """So that there is one calendar for everybody to begin with."""
    for method, path in (("MKCOL", "/clan/"), ("MKCALENDAR", "/clan/calendar/")):
        if not ask(method, path).startswith("201"):
            sys.exit(f"cannot make {path}")


threading.stack_size(512 << 10)
server = Server(socket.socket(fileno=3))
if not os.path.exists(sys.argv[1] + "/collections/collection-root/clan"):
    first_calendar()
server.serve_forever()
