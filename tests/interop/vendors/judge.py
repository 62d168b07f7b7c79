"""Verifiers that exist in Python: one question a line on standard input, one verdict a line on standard output."""

import json
import sys

import jwt
from twilio.jwt.access_token import AccessToken


def pyjwt(question):
    """PyJWT's verdict, with every claim about time checked."""
    return jwt.decode(
        question["token"],
        question["key"].encode() if question["algorithm"].startswith("HS") else question["key"],
        algorithms=[question["algorithm"]],
        audience=question.get("audience"),
        issuer=question.get("issuer"),
        options={"verify_aud": "audience" in question},
    )


def twilio(question):
    """Twilio's own reading of its access tokens."""
    return AccessToken.from_jwt(question["token"], question["key"]).payload


for line in sys.stdin:
    question = json.loads(line)
    try:
        verdict = {"claims": {"pyjwt": pyjwt, "twilio": twilio}[question["judge"]](question)}
    except Exception as error:
        verdict = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(verdict), flush=True)
