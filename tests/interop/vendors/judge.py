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


def superset(question):
    """Superset's reading of a guest token: PyJWT, then what `get_guest_user_from_request` looks for."""
    token = jwt.decode(question["token"], question["key"], algorithms=["HS256"], audience=question["audience"])
    for claim in ("user", "resources", "rls_rules"):
        if token.get(claim) is None:
            raise ValueError(f"Guest token does not contain a {claim} claim")
    if token.get("type") != "guest":
        raise ValueError("This is not a guest token.")
    return token


JUDGES = {"pyjwt": pyjwt, "superset": superset, "twilio": twilio}

for line in sys.stdin:
    question = json.loads(line)
    try:
        verdict = {"claims": JUDGES[question["judge"]](question)}
    except Exception as error:
        verdict = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(verdict), flush=True)
