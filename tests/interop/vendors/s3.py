"""An S3 server on a free port, which it prints: moto, behind the two checks moto leaves out.

moto stores what it is sent. It checks signatures in the header `Authorization` only: none in a query, none in a form, and no policy.
So signatures are computed again here by botocore, AWS's own signer, over the request as it arrived; the policy of a form is judged by
the rules S3 documents.
"""

import base64
import hmac
import json
import sys
import time
from calendar import timegm
from io import BytesIO
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.formparser import parse_form_data
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

# Access key ids with their secret, and the token of temporary ones.
KEYS = json.loads(sys.argv[1])
NOT_IN_A_POLICY = {"policy", "x-amz-signature", "file"}


class Refused(Exception):
    pass


def signer(kind, credential, date, **more):
    """botocore's signer for the key and place that a credential names."""
    key, day, region, service, end = credential.split("/")
    if (service, end) != ("s3", "aws4_request") or day != date[:8]:
        raise Refused("credential scope")
    if key not in KEYS:
        raise Refused("InvalidAccessKeyId")
    secret, token = KEYS[key]
    return kind(Credentials(key, secret, token), service, region, **more), token


def begun(date):
    return timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))


def check_query(request, query):
    """A presigned address: its time, its session token, its signature over the headers it names."""
    date, life = query["X-Amz-Date"], int(query["X-Amz-Expires"])
    if not begun(date) - 900 <= time.time() <= begun(date) + life:
        raise Refused("Request has expired")
    auth, token = signer(S3SigV4QueryAuth, query["X-Amz-Credential"], date, expires=life)
    if query.get("X-Amz-Security-Token") != token:
        raise Refused("InvalidToken")
    address = "&".join(part for part in request.environ["REQUEST_URI"].split("&") if not part.startswith("X-Amz-Signature="))
    names = query["X-Amz-SignedHeaders"].split(";")
    if "host" not in names:
        raise Refused("host is not signed")
    headers = {name: request.headers.get(name, "") for name in names}
    signed = AWSRequest(request.method, f"http://{request.host}{address}", headers=headers)
    signed.context["timestamp"] = date
    right = auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)
    if not hmac.compare_digest(right, query["X-Amz-Signature"]):
        raise Refused("SignatureDoesNotMatch")


def check_form(bucket, fields, file):
    """A form: its signature, then its policy by the rules of "Creating a POST policy" in S3's guide."""
    auth, token = signer(S3SigV4PostAuth, fields["x-amz-credential"], fields["x-amz-date"])
    if fields.get("x-amz-security-token") != token:
        raise Refused("InvalidToken")
    request = AWSRequest("POST", "http://localhost/")
    request.context["timestamp"] = fields["x-amz-date"]
    if not hmac.compare_digest(auth.signature(fields["policy"], request), fields["x-amz-signature"]):
        raise Refused("SignatureDoesNotMatch")
    policy = json.loads(base64.b64decode(fields["policy"]))
    if timegm(time.strptime(policy["expiration"], "%Y-%m-%dT%H:%M:%SZ")) < time.time():
        raise Refused("Policy expired")
    found = {"bucket": bucket, **fields}
    named = set()
    for condition in policy["conditions"]:
        rules = [["eq", f"${name}", value] for name, value in condition.items()] if isinstance(condition, dict) else [condition]
        for how, what, value in rules:
            if how == "content-length-range":
                fits = what <= len(file) <= value
            else:
                named.add(what[1:].lower())
                text = found.get(what[1:].lower(), "")
                fits = text == value if how == "eq" else text.startswith(value)
            if not fits:
                raise Refused(f"Policy condition failed: {how} {what}")
    extra = {name for name in fields if not name.startswith("x-ignore-")} - named - NOT_IN_A_POLICY
    if extra:
        raise Refused(f"Extra input fields: {sorted(extra)}")


moto = DomainDispatcherApplication(create_backend_app)


def app(environ, start_response):
    request = Request(environ)
    query = dict(parse_qsl(urlsplit(environ["REQUEST_URI"]).query, keep_blank_values=True))
    try:
        if request.headers.get("Content-Type", "").startswith("multipart/form-data"):
            body = request.get_data()
            _, form, files = parse_form_data({**environ, "wsgi.input": BytesIO(body)})
            file = files["file"]
            fields = {name.lower(): value.replace("${filename}", file.filename) for name, value in form.items()}
            check_form(request.path.strip("/"), fields, file.read())
            environ = {**environ, "wsgi.input": BytesIO(body)}
        elif "X-Amz-Signature" in query:
            check_query(request, query)
        elif "Authorization" not in request.headers:
            raise Refused("AccessDenied")
    except (Refused, KeyError, ValueError) as error:
        return Response(f"<Error>{error}</Error>", 403)(environ, start_response)
    return moto(environ, start_response)


server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
