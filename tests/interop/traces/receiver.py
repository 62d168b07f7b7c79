"""A collector: reads OTLP over HTTP with the protocol's own messages and prints each span as a line of JSON.

The first line says where it listens. The path chooses the answer: /v1/traces takes spans, /busy/v1/traces is busy
twice and then takes them, /refuse/v1/traces never does.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv.attributes import client_attributes, error_attributes, http_attributes, network_attributes
from opentelemetry.semconv.attributes import server_attributes, service_attributes, url_attributes

GROUPS = [client_attributes, error_attributes, http_attributes, network_attributes, server_attributes, service_attributes, url_attributes]
STABLE = {value for group in GROUPS for name, value in vars(group).items() if name.isupper() and isinstance(value, str)}


def values(attributes):
    found = {}
    for attribute in attributes:
        assert attribute.key not in found, f"{attribute.key} twice"
        found[attribute.key] = getattr(attribute.value, attribute.value.WhichOneof("value"))
    return found


def shown(span, resource, request_headers):
    unknown = [key for key in values(span.attributes) if key not in STABLE and not key.startswith("portcullis.")]
    return {
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind),
        "status": Status.StatusCode.Name(span.status.code),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "flags": span.flags,
        "attributes": values(span.attributes),
        "unknown": unknown,
        "resource": values(resource.attributes),
        "key": request_headers.get("x-collector-key"),
    }


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refusals = 2

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"] == "application/x-protobuf", self.headers["content-type"]
        status = 200
        if self.path == "/refuse/v1/traces":
            status = 400
        elif self.path == "/busy/v1/traces" and Collector.refusals > 0:
            Collector.refusals -= 1
            status = 503
        elif self.path not in ("/v1/traces", "/busy/v1/traces"):
            status = 404
        if status == 200:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in group.scope_spans:
                    for span in scope.spans:
                        print(json.dumps(shown(span, group.resource, self.headers)), flush=True)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        if status == 503:
            self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(json.dumps({"listening": f"http://127.0.0.1:{server.server_port}"}), flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    sys.exit(0)
