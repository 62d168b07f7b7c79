"""What only Python's libraries can judge: the bill of materials, the Dockerfile, the compose file, fly.toml.

    check.py SBOM
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

TOP = Path(__file__).resolve().parents[3]


def sbom(path):
    text = Path(path).read_text()
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    assert error is None, error
    document = json.loads(text)
    scopes = {it["name"]: it["scope"] for it in document["components"]}
    locked = {it["name"] for it in tomllib.loads((TOP / "Cargo.lock").read_text())["package"]}
    assert scopes.keys() <= locked and len(scopes) > 100, len(scopes)
    assert {scopes["tokio"], scopes["rustls"], scopes["pingora"]} == {"required"}
    assert scopes["serde_derive"] == "excluded" and "jsonschema" not in scopes
    references = {it["bom-ref"] for it in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    for dependency in document["dependencies"]:
        assert dependency["ref"] in references and set(dependency["dependsOn"]) <= references, dependency
    assert str(TOP) not in text and "resolved" not in text


def dockerfile():
    hadolint = Path(sys.executable).parent / "hadolint"
    subprocess.run([hadolint, TOP / "deploy/Dockerfile"], check=True)
    ignored = (TOP / "deploy/Dockerfile.dockerignore").read_text().split()
    lines = (TOP / "deploy/Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]]
    for name in copied:
        assert (TOP / name).exists(), name
        assert f"!{name}" in ignored, f"{name} is kept from the builder"


def compose():
    document = yaml.safe_load((TOP / "deploy/compose.yaml").read_text())
    gateway, app = document["services"]["gateway"], document["services"]["app"]
    build = gateway["build"]
    assert (TOP / "deploy" / build["context"] / build["dockerfile"]).is_file(), build
    assert "ports" not in app and "PORTIVE_API_KEY" not in app["environment"]
    assert gateway["ports"] == ["8080:8080"]
    volume = gateway["volumes"][0].split(":")
    assert (TOP / "deploy" / volume[0]).is_file() and volume[1] == "/etc/portcullis/gateway.toml"


def fly():
    document = tomllib.loads((TOP / "deploy/fly.toml").read_text())
    # As `fly` reads them: relative to the file, and to the folder it is called in.
    assert (TOP / "deploy" / document["build"]["dockerfile"]).is_file()
    assert (TOP / document["files"][0]["local_path"]).is_file()
    assert document["files"][0]["guest_path"] == "/etc/portcullis/gateway.toml"
    service = document["http_service"]
    assert service["internal_port"] == 8080 and service["force_https"] is True


sbom(sys.argv[1])
dockerfile()
compose()
fly()
print("ok")
