"""The commands ``keys`` and ``audit``, and what ``serve`` needs before it lets strangers in."""

import datetime as dt
import getpass
import os
import ssl
import urllib.error
import urllib.request
from ipaddress import ip_address
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.cli.conftest import Call, History
from tests.cli.processes import read_document, started, until

FREE = ["--port", "0", "--json"]


def test_a_key_is_added_listed_and_revoked(call: Call) -> None:
    """Its secret is the only output of adding it, and occurs nowhere else; the audit log says who did it."""
    assert "keys add NAME" in call("keys").err
    added = call("keys", "add", "team", "--scope", "write", "--scope", "run", "--workflow", "order-*",
                 "--expires", "90d", "--rate", "60/m", "--largest-body", "1MB")  # fmt: skip
    secret = added.out.strip()
    assert (0, "eh_") == (added.code, secret[:3])
    listed = call("keys")
    for part in ("team", "write, run", "order-*", "60/m 1.0 MB", "not yet"):
        assert part in listed.out
    [key] = call("keys", "list", "--json").json()["keys"]
    assert (["write", "run"], ["order-*"], 1_000_000) == (key["scopes"], key["workflows"], key["largest_body"])
    assert secret.split("_", 2)[2] not in listed.out + str(key)
    assert (2, 2) == (call("keys", "add", "TEAM", "--scope", "read").code, call("keys", "add", "x").code)
    assert (0, 5) == (call("keys", "revoke", "team").code, call("keys", "revoke", "team").code)
    lines = call("audit", "--json").json()["lines"]
    assert ["key_added", "key_revoked"] == [line["action"] for line in lines]
    assert f"local:{getpass.getuser()}" == lines[0]["actor"]
    assert "Revoked a key" in call("audit", "--since", "1h").out
    assert secret.split("_", 2)[2] not in call("audit").out


def test_a_key_is_for_the_workflow_that_is_named(call: Call, history: History) -> None:
    """By its name too; what matches none yet is told. How to send it is what its scopes allow."""
    history.keep("a", "7321000000000000001")
    call("name", "7321000000000000001", "Short answer")
    said = call("keys", "add", "reader", "--scope", "read", "--workflow", "Short answer", "--workflow", "73210*")
    assert "Short answer is the workflow 7321000000000000001." in said.err
    assert "yet" not in said.err
    assert ("sign in" in said.err, "/k/KEY" in said.err) == (True, False)
    assert ["73210*", "7321000000000000001"] == call("keys", "--json").json()["keys"][0]["workflows"]
    said = call("keys", "add", "caller", "--scope", "run", "--workflow", "order-*")
    assert "No workflow has an id that matches order-* yet." in said.err
    assert ("sign in" in said.err, "X-Execution-History-Key" in said.err) == (False, True)


@pytest.mark.parametrize(
    "arguments",
    [["keys", "add"], ["keys", "revoke"], ["keys", "list", "x"], ["keys", "add", "x", "--scope", "all"],
     ["keys", "add", "x", "--scope", "read", "--rate", "often"],
     ["keys", "add", "x", "--scope", "admin", "--workflow", "a"],
     ["keys", "list", "--scope", "read"], ["keys", "revoke", "x", "--expires", "1d"],
     ["keys", "renew", "x", "--rate", "1/s"], ["keys", "list", "--sign-out"],
     ["audit", "--since", "whenever"], ["audit", "--action", "dance"], ["audit", "--format", "csv", "--limit", "1"],
     ["audit", "-o", "audit.csv"]],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(call: Call, arguments: list[str]) -> None:
    """And adds no key."""
    said = call(*arguments)
    assert (2, "", 1) == (said.code, said.out, said.err.count("\n"))


def test_what_commands_do_to_runs_is_in_the_audit_log(call: Call, tmp_path: Path) -> None:
    """Imports, exports and deletions, each before it is done."""
    times = dict.fromkeys(("create_time", "update_time"), 1_700_000_000_000)
    run = {"workflow_id": "w", "execute_id": "run-00000001", "execute_status": "success", **times}
    (tmp_path / "runs.jsonl").write_bytes(orjson.dumps(run))
    assert 0 == call("import", "runs.jsonl").code
    assert 0 == call("export", "-o", "out.jsonl").code
    assert 0 == call("delete", "run-00000001").code
    actions = [line["action"] for line in call("audit", "--json").json()["lines"]]
    assert ["import", "export"] == actions[:2]
    assert {"delete", "bulk_delete"} & set(actions[2:])
    assert "run run-00000001 of workflow w" in call("audit", "--action", "delete", "--limit", "1").out
    assert 0 == call("audit", "--format", "csv", "-o", "audit.csv").code
    table = (tmp_path / "audit.csv").read_text("utf-8")
    assert "import" in table
    assert "audit.export" in table
    assert "No entry matches." in call("audit", "--by", "nobody-like-this").err


@pytest.mark.parametrize("arguments", [[], ["--demo"]])
def test_strangers_are_not_served_without_a_key(call: Call, arguments: list[str]) -> None:
    """Listening beyond this machine ends with 2 and what to do."""
    said = call("serve", "--host", "0.0.0.0", "--port", "0", "--sandbox-port", "0", *arguments)  # noqa: S104 - it is refused
    assert 2 == said.code
    assert "keys add" in said.err
    assert "EXECUTION_HISTORY_OPEN_TO_NETWORK" in said.err


def _certificate(folder: Path, *, days: int = 1, ago: int = 1) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=ago))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_with_a_key_and_tls_a_server_is_open_to_the_network(call: Call, tmp_path: Path) -> None:
    """It announces https, asks for the key, and its log of requests does not show one that came in the address."""
    _certificate(tmp_path)
    secret = call("keys", "add", "team", "--scope", "admin", "--store", "history").out.strip()
    tls = {"EXECUTION_HISTORY_TLS_CERTIFICATE": "cert.pem", "EXECUTION_HISTORY_TLS_KEY": "key.pem"}
    arguments = ["serve", "--host", "0.0.0.0", *FREE, "--access-log", "--store", "history"]  # noqa: S104 - with a key
    trust = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with started(*arguments, folder=tmp_path, **tls) as process:
        url = read_document(process.stdout)["url"]
        assert url.startswith("https://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/coze/workflows", context=trust)
        with urllib.request.urlopen(f"{url}/k/{secret}/coze/workflows", context=trust) as answer:
            assert orjson.loads(answer.read())["success"]
        process.terminate()
        log = b"" if process.stderr is None else process.stderr.read()
    assert b"/coze/workflows" in log
    assert secret.split("_", 2)[2].encode() not in log


def test_a_renewed_certificate_is_used_by_the_next_connection(tmp_path: Path) -> None:
    """Without a restart; files that do not belong together leave the one before in use, and /readyz tells."""
    _certificate(tmp_path)
    tls = {"EXECUTION_HISTORY_TLS_CERTIFICATE": "cert.pem", "EXECUTION_HISTORY_TLS_KEY": "key.pem"}
    first = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with started("serve", *FREE, "--store", "history", folder=tmp_path, **tls) as process:
        url = read_document(process.stdout)["url"]
        assert _warnings(url, first) == []
        renewed = tmp_path / "renewed"
        renewed.mkdir()
        _certificate(renewed, days=3, ago=8)
        os.mkfifo(tmp_path / "pipe")  # which nobody ever writes
        (tmp_path / "pipe").replace(tmp_path / "cert.pem")
        until(process, lambda: "not a file" in " ".join(_warnings(url, first) or []))
        (renewed / "cert.pem").replace(tmp_path / "cert.pem")
        until(process, lambda: "cannot be used" in " ".join(_warnings(url, first) or []))
        (renewed / "key.pem").replace(tmp_path / "key.pem")
        second = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        until(process, lambda: _warnings(url, second) is not None)
        [warning] = _warnings(url, second) or []
        assert "(days left: 2): renew it." in warning
        metrics = urllib.request.urlopen(f"{url}/metrics", context=second).read()
        assert b"execution_history_tls_certificate_expires_timestamp_seconds" in metrics


def _warnings(url: str, trust: ssl.SSLContext) -> list[str] | None:
    """What /readyz warns of; ``None`` where the server's certificate is not the trusted one."""
    try:
        found: list[str] = orjson.loads(urllib.request.urlopen(f"{url}/readyz", context=trust).read())["warnings"]
    except urllib.error.URLError:
        return None
    return found


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"TLS_KEY": "key.pem"}, "tls_certificate"), ({"TLS_CERTIFICATE": "none.pem"}, "none.pem"),
     ({"TLS_CERTIFICATE": "bad.pem"}, "bad.pem")],
)  # fmt: skip
def test_tls_that_cannot_work_is_one_sentence(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], part: str
) -> None:
    """Before anything is opened."""
    (tmp_path / "bad.pem").write_text("no certificate")
    for name, value in settings.items():
        monkeypatch.setenv(f"EXECUTION_HISTORY_{name}", value)
    said = call("serve", "--port", "0")
    assert (2, 1) == (said.code, said.err.count("\n"))
    assert part in said.err
