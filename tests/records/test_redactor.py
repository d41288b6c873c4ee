"""What is taken out of values before they are kept, and what stays."""

import json
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_history.errors import InvalidInput
from execution_history.records.detectors import DETECTORS
from execution_history.records.json_path import matches, parse_path
from execution_history.records.named_values import secrets_in
from execution_history.records.redaction import SECRET_ENDINGS, is_secret_name
from execution_history.records.redaction_rules import BUILT_IN, RedactionRule, rules_of
from execution_history.records.redactor import Redactor

GONE = "[redacted]"
TOKEN = "pat_" + "Ab1" * 8


def _redacted(value: Any, *rules: dict[str, Any], name: str = "output", grows: bool = False) -> Any:
    redactor = Redactor((*BUILT_IN, *rules_of(rules)), b"key")
    return orjson.loads(redactor.value(name, orjson.dumps(value), {}, {}, grows=grows))


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"api_key": "k", "n": 5, "apiKey": 123456}, {"api_key": GONE, "n": 5, "apiKey": GONE}),
        ({"db.password": "k", "x/api_key": "k"}, {"db.password": GONE, "x/api_key": GONE}),
        ({"用户token": "k"}, {"用户token": GONE}),
        ({"a": [{"Authorization": "Bearer x"}]}, {"a": [{"Authorization": GONE}]}),
        ({"credentials": {"user": "u", "none": None}}, {"credentials": {"user": GONE, "none": None}}),
        ([["cookie", "a=b"], ["accept", "json"]], [["cookie", GONE], ["accept", "json"]]),
        ({"密码": "x"}, {"密码": GONE}),
        ('{"password": "x", "n": 1}', f'{{"password":"{GONE}","n":1}}'),
        ({"p": '{"q": "{\\"secret\\": \\"x\\"}"}'}, {"p": f'{{"q":"{{\\"secret\\":\\"{GONE}\\"}}"}}'}),
        ('so far: {"password": "x', f'so far: {{"password": "{GONE}'),
        (r"\"token\": \"abc\" x", rf"\"token\": \"{GONE}\" x"),
        ("GET /x?access_token=abc&page=2", f"GET /x?access_token={GONE}&page=2"),
        ("the password: hunter2.", f"the password: {GONE}"),
        ('monkey: "its password=hunter2x."', f'monkey: "its password={GONE}"'),
        ("key=password:hunter2x", f"key=password:{GONE}"),
        ("load --password swordfish --verbose", f"load --password {GONE} --verbose"),
        ("password=20261201, token=2026", f"password={GONE}, token=2026"),
        ("<password>swordfish</password>", f"<password>{GONE}</password>"),
        ("密码：hunter2", f"密码：{GONE}"),
        ("'password' => 'hunter2'", f"'password' => '{GONE}'"),
        ({"encryption_key": "x", "sessionKey": "y"}, {"encryption_key": GONE, "sessionKey": GONE}),
        ("Authorization: Bearer abc", f"Authorization: {GONE}"),
        (f"use {TOKEN} please", f"use {GONE} please"),
        ({TOKEN: 1}, {GONE: 1}),
        ("https://me:s3cret@host/x", f"https://me:{GONE}@host/x"),
        ("Bearer " + "a1B2" * 6, f"Bearer {GONE}"),
        ("sk-proj-" + "a1B2" * 6, GONE),
        ("AKIA" + "ABCD1234" * 2, GONE),
        ("LTAI5t" + "a1B2" * 5, GONE),
        ("glpat-" + "a1B2" * 10 + ".01a2b3c4d", GONE),
        ("xapp-1-A0B1C2D3E4F-1234567890-" + "a1b2" * 16, GONE),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", GONE),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + "a1B2" * 8 + "\n-----END RSA PRIVATE KEY-----\n.", f"{GONE}\n."),
        ({"password": "hunter2", "said": "it is hunter2"}, {"password": GONE, "said": f"it is {GONE}"}),
    ],
)  # fmt: skip
def test_secrets_are_taken_out_of_any_value(value: Any, left: Any) -> None:
    """By name and by shape, at any depth, in JSON within text and in text that is not whole JSON; twice is as once."""
    assert left == _redacted(value)
    assert left == _redacted(left)


_S: Final = "hunter2x"


@pytest.mark.parametrize(
    "value",
    [
        # two members, whatever else there is
        {"name": "password", "value": _S},
        {"Value": _S, "type": "string", "Key": "DB_PASSWORD"},
        {"header": "Authorization", "value": f"Bearer {_S}"},
        [{"k": "api-key", "v": _S}, {"k": "page", "v": "7"}],
        {"key": "api_key", "value": {"stringValue": _S}},
        {"type": "password", "name": "pin", "value": _S},
        {"name": "密码", "值": _S},
        {"raw": f'[{{"key":"token","type":"x","value":"{_S}"}}]'},
        f'so far: {{"name": "password", "enabled": true, "value": "{_S}',
        f"{{'name': 'password', 'value': '{_S}'}} was sent",
        rf"[{{\"key\":\"password\",\"value\":\"{_S}\"}}] was sent",
        f"env:\n  - name: DB_PASSWORD\n    value: {_S}\n",
        # lists
        [["Authorization", f"Bearer {_S}"]],
        f"[('Authorization', 'Bearer {_S}')] was sent",
        ["load", "--password", _S, "file"],
        f'["load", "--password", "{_S}", "file"] failed',
        ["curl", "-u", f"me:a {_S}", "x"],
        ["docker", "login", "-p", _S],
        # commands
        f"load --password {_S} file",
        f"load --api-key '{_S} and more'",
        f"Connect -Token {_S}",
        f"load --api-key={_S}",
        f"curl -s --user 'me:{_S}' https://host",
        f"mysql -u root -p{_S} db | less",
        f"sshpass -p {_S} ssh host",
        f"docker login -u me -p {_S} host",
        f"redis-cli -h host -a {_S} ping",
        f"openssl rsa -passin pass:{_S}",
        f"machine host.test login me password {_S}",
        rf'so far: {{"script": "cd a\ncurl -u me:{_S} https://host',
        rf'so far: {{"script": "load \\\n--password {_S} \\\n--file',
        rf'{{"netrc": "machine a.b login me password other1\nmachine c.d login me password {_S}',
        # XML and HTML
        f"<password>{_S}</password>",
        f'<c:Password Type="text"> {_S} </c:Password>',
        f"<password><![CDATA[a<b{_S}]]></password>",
        f'<add key="password" value="{_S}"/>',
        f"<input value='{_S}' type='password' name='pin'>",
        f'<property name="password">{_S}</property>',
        f"<key>password</key>\n<string>{_S}</string>",
        f"<member><name>api_key</name><value><string>{_S}</string></value></member>",
        '{"inner": "' + f"\\u003cpassword\\u003e{_S}\\u003c/password\\u003e" + '"}',
        # lines, addresses and headers
        f"db_pass={_S}",
        f"export PGPASSWORD={_S}",
        {"clientsecret": _S, "accesstoken": _S},
        f"password = {_S}",
        f"user=me|password=other1|token: {_S}",
        f'Cookie: a=1; token="{_S}"',
        f"Cookie: a=1; sid={_S}",
        f"https://host/x?a=1&sig=a1B2c3D4{_S}%2B",
    ],
)  # fmt: skip
def test_a_name_and_its_value_are_found_however_they_are_written(value: Any) -> None:
    """In two members, options, elements and attributes, by their names; twice is as once."""
    left = _redacted(value)
    assert (True, False) == (GONE in str(left), _S in str(left))
    assert left == _redacted(left)


@pytest.mark.parametrize(
    "value",
    [
        [{"name": "token", "value": 17}, {"name": "token", "value": 15_234}, {"key": "max_tokens", "value": "4096"}],
        [{"name": "get_token", "content": "done"}, {"name": "password", "type": "string", "required": True}],
        {"type": "token", "value": "else"},
        "so far {'name': 'token', 'value': 15234, 'of': 20000",
        "Use the --password option to log in; --token is not needed, nor --password <password>.",
        "login <user> <password> begins, then <token>hello</token> <label for='password'>Password</label>",
        '<string name="forgot_password">Forgot your password?</string>',
        "docker run -p 8080:80 web; mkdir -p a/b; mysql -p -u root db; curl -s https://host:80/; git log -p",
        ["docker", "run", "-p", "80:80"],
        "load --password $DB_PASSWORD --verbose",
        "https://host/x?key=artist_albums&sig=short&page_token=7",
    ],
)
def test_what_only_has_the_form_of_a_name_and_its_value_stays(value: Any) -> None:
    """Counts, descriptions, usage texts and options that are no passwords."""
    assert value == _redacted(value)


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 5, "token": 12, "tokens": "many", "keyword": "x", "key": "k", "password": None, "secret": ""},
        {"is_secret": True, "password": False, "page": "the token: a unit of text", "monkey": "m"},
        "token=7 and page_token=9",
        "token = self.next() if token == '.' else None",
        ["What is your 密码?", "x"],
        {"monkey": "m", "key": "k", "list": ["the key", "x"]},
        "0199c8f2-1c5e-7cc1-b6a4-2a7d7d0a9f10",
        {"id": 7404830425073352713, "at": 1_700_000_000_123, "phone": "13812345678", "mail": "me@host.test"},
        "https://host/a@b?q=1",
        "disk-usage sk-learn-and-other-words-in-a-row",
        '{"a":  1.50}',
    ],
)
def test_everything_else_stays(value: Any) -> None:
    """Counts of tokens, words, ids and times; personal data unless a rule chooses them; text as it was written."""
    assert value == _redacted(value)


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"p": 13812345678, "q": "+86 138 1234 5678"}, {"p": GONE, "q": GONE}),
        ("电话13812345678，谢谢", f"电话{GONE}，谢谢"),
        ("call +1 415-555-2671 now", f"call {GONE} now"),
        ("a@b.test and x.y@host.test.", f"{GONE} and {GONE}."),
        ("11010519491231002X", GONE),
        ("110105194912310021", "110105194912310021"),
        ("card 4111 1111 1111 1111", f"card {GONE}"),
        ("card 4111 1111 1111 1112", "card 4111 1111 1111 1112"),
        ("3782 822463 10005, 6222-0212-3456-7890-128", f"{GONE}, {GONE}"),
        ("41 11 11 11 11 11 11 11, 4111 1111-1111 1111", "41 11 11 11 11 11 11 11, 4111 1111-1111 1111"),
        ({"ean": "4006381333931", "order": 16103997365}, {"ean": "4006381333931", "order": 16103997365}),
        ({"id": "7404830425073352713", "at": 1.7e12}, {"id": "7404830425073352713", "at": 1.7e12}),
    ],
)  # fmt: skip
def test_personal_data_are_taken_out_where_a_rule_chooses_them(value: Any, left: Any) -> None:
    """Numbers have to fit: those of cards by issuer and check digit, those of identities by date and check digit."""
    assert left == _redacted(value, {"detector": "personal"})


@pytest.mark.parametrize(
    ("rule", "value", "left"),
    [
        ({"key": "user_*"}, {"userName": "x", "n": {"USER-id": 7}}, {"userName": GONE, "n": {"USER-id": GONE}}),
        ({"key": "user", "action": "remove"}, {"user": {"a": 1}, "b": 2}, {"b": 2}),
        ({"path": "output.items[*].name"}, {"items": [{"name": "x", "n": 1}]}, {"items": [{"name": GONE, "n": 1}]}),
        ({"path": "$..name"}, {"a": [{"name": "x"}]}, {"a": [{"name": GONE}]}),
        ({"path": "output.q.name"}, {"q": '{"name": "x"}'}, {"q": f'{{"name":"{GONE}"}}'}),
        ({"pattern": "ORD-[0-9]+"}, "see ORD-123 and ORD-4", f"see {GONE} and {GONE}"),
        ({"pattern": "id=([0-9]+)", "action": "remove"}, "id=55!", "id=!"),
        ({"key": "a_token", "action": "keep"}, {"a_token": "x", "token": "y"}, {"a_token": "x", "token": GONE}),
        ({"detector": "coze_token", "action": "keep"}, TOKEN, TOKEN),
        ({"detector": "secrets", "action": "keep"}, {"password": TOKEN}, {"password": TOKEN}),
        ({"path": "output.safe", "action": "keep"}, {"safe": TOKEN, "q": TOKEN}, {"safe": TOKEN, "q": GONE}),
    ],
)  # fmt: skip
def test_rules_find_by_key_path_pattern_and_detector(rule: dict[str, Any], value: Any, left: Any) -> None:
    """What they find is masked or removed, and kept where they say so."""
    assert left == _redacted(value, rule)


_STALLS: Final = "a" * 5_000 + "!"


@pytest.mark.parametrize(
    ("pattern", "value", "left"),
    [
        ("(a|aa)+$", _STALLS, _STALLS),
        ("(a|aa)+$", f"{_STALLS}\nx aa\n", f"{_STALLS}\n{GONE}\n"),
        ("(?:a|aa)+b", f"{_STALLS}\nx aab x\r\nb", f"{_STALLS}\n{GONE}\r\nb"),
        (r"(a|aa)+!\nb", f"{_STALLS}\n{_STALLS}\nb", GONE),
        ("(?<!b)(a|aa)+$", _STALLS, GONE),
        ("(?:a|aa)+b", [_STALLS] * 2_000 + ["aab x"], [_STALLS] * 2_000 + [GONE]),
        ("(?:a|aa)+b", ["aab x"], [f"{GONE} x"]),
    ],
)
def test_a_pattern_that_takes_too_long_takes_out_whole_lines(pattern: str, value: Any, left: Any) -> None:
    """Those in which it matches; all of a text where nothing finds that out in time. It does not stall a write."""
    assert left == _redacted(value, {"pattern": pattern})


def test_equal_values_have_equal_hashes_that_nobody_else_can_compute() -> None:
    """A hash tells whether two runs had the same value; it depends on the key."""
    rule = {"key": "user", "action": "hash"}
    one, two = _redacted({"user": "x"}, rule), _redacted([{"user": "x"}, {"user": "y"}], rule)
    assert (one, True) == (two[0], two[0] != two[1])
    assert one["user"].startswith("[redacted:")
    other = Redactor(rules_of([rule]), b"another").value("output", orjson.dumps({"user": "x"}), {}, {})
    assert one != orjson.loads(other)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("my key is sk-abc", "my key is "),
        ("a pat_", "a "),
        ("Bearer ab", ""),
        ("https://me:s3c", "https"),
        ("an ordinary end", "an ordinary end"),
        ('{"password": "hun', f'{{"password": "{GONE}'),
    ],
)
def test_a_text_that_still_grows_ends_before_what_may_be_a_secret(text: str, left: str) -> None:
    """Half a secret is one; the other half may come with the next message."""
    assert left == _redacted(text, grows=True)


@pytest.mark.parametrize("size", [70_000, 200_000])
def test_huge_values_are_looked_at_whole(size: int) -> None:
    """Wherever a secret stands, also where one window ends."""
    for place in (64 * 1024 - 20, size - 40):
        text = "." * place + TOKEN + "." * (size - place)
        assert TOKEN not in _redacted(text)


def test_what_is_clean_is_found_so_without_being_read() -> None:
    """No detector finds anything in what the quick look lets pass: all of them, on what each of them finds."""
    redactor = Redactor((*BUILT_IN, *rules_of([{"detector": "personal"}])))
    found = {
        "coze_token": TOKEN, "openai_key": "sk-" + "a1B2" * 5, "aws_key": "AKIA" + "ABCD1234" * 2,
        "aliyun_key": "LTAI" + "a1B2c3D" * 2, "tencent_key": "AKID" + "a1B2" * 8, "volcengine_key": "AKLT" + "a1B2" * 5,
        "google_key": "AIza" + "a1B2-" * 7, "github_token": "ghp_" + "a1B2" * 6, "gitlab_token": "glpat-" + "a1B2" * 5,
        "slack_token": "xoxb-" + "1234567-" * 2, "stripe_key": "sk_live_" + "a1B2" * 4,
        "huggingface_token": "hf_" + "a1B2c" * 6, "package_token": "npm_" + "a1B2c" * 6,
        "jwt": "eyJ" + "a1B2c" * 3 + ".eyJzdWIi.s", "http_login": "Basic " + "a1B2c3" * 3, "url_login": "x://u:p@h",
        "url_key": "?a=b&sig=" + "a1B2" * 4, "command_login": "curl -u me:s3cret",
        "private_key": "-----BEGIN PRIVATE KEY-----\n" + "a1B2" * 6, "phone": "13812345678",
        "chinese_id": "11010519491231002X", "email": "a@b.test", "card": "4111111111111111",
    }  # fmt: skip
    assert DETECTORS.keys() == found.keys()
    for name, text in found.items():
        assert DETECTORS[name].spans(text), name
        assert not redactor.is_clean(orjson.dumps({"x": text})), name
    assert redactor.is_clean(b'{"city":"Beijing"}')


_SECRETS: Final = (
    *(TOKEN, "eyJ" + "a1B2" * 4 + ".eyJzdWIiOiIx", "-----BEGIN PRIVATE KEY-----", "Bearer ", "a1B2" * 5),
    *("://me:s3cret@host", "api-key", "密码", "13812345678", "4111 1111 1111 1111", "11010519491231002X"),
    *(
        "name: password\nvalue: ",
        "<password>s3cret</",
        "'key': 'token', 'value': '",
        "--password ",
        "value='s3cret' name='",
    ),
    *(
        "curl -u me:s3cret",
        "docker login -p ",
        "machine a.b login me password ",
        "&sig=" + "a1B2" * 4,
        "<key>token</key><string>s",
    ),
)
_BETWEEN: Final = ("\n", ": ", "=", "：", '"', "\\", "<", " ", "-", "[", ",", "n", "x1y2", "字", "{", ">", "value")


def _written(value: Any, how: str) -> str:
    """Return JSON as other programs write it."""
    match how:
        case "python":
            return json.dumps(value, indent=1)
        case "php":
            return json.dumps(value).replace("/", "\\/")
        case "go":
            return orjson.dumps(value).decode().replace("<", "\\u003c").replace(">", "\\u003E").replace("&", "\\u0026")
        case "java":
            return orjson.dumps(value).decode().replace("=", "\\u003d").replace("'", "\\u0027")
        case _:
            return orjson.dumps(value).decode()[:-1]


_TEXTS: Final = st.tuples(*[st.sampled_from(("", *_BETWEEN)), st.sampled_from(("", *_SECRETS))] * 2).map("".join)
_VALUES: Final = st.recursive(
    _TEXTS | st.sampled_from([13812345678, 4111111111111111]),
    lambda inner: (
        st.builds(lambda one: [one], inner)
        | st.builds(lambda one, two: [one, two], _TEXTS, inner)
        | st.dictionaries(_TEXTS | st.sampled_from(["name", "value"]), inner, min_size=1, max_size=2)
        | st.builds(_written, inner, st.sampled_from(["python", "php", "go", "java", "cut off"]))
    ),
    max_leaves=3,
)


@settings(max_examples=200, deadline=None)
@given(value=_VALUES, chosen=st.sampled_from([(), ({"detector": "personal"},)]), grows=st.booleans())
def test_the_quick_look_overlooks_nothing(value: Any, chosen: tuple[dict[str, Any], ...], grows: bool) -> None:
    """Whoever reads every value finds the same: a rule for a path that there is not makes the redactor do that."""
    assert _redacted(value, *chosen, {"path": "output.nothing.is.here"}, grows=grows) == _redacted(
        value, *chosen, grows=grows
    )


@pytest.mark.parametrize("name", [each for each in SECRET_ENDINGS if each.isascii()])
def test_the_quick_look_knows_every_spelling_of_a_name(name: str) -> None:
    """Words apart, with any sign between them, and run together with capital letters."""
    capital = name.title().replace("_", "")
    for spelling in (name, name.upper(), name.replace("_", "-"), capital, capital[0].lower() + capital[1:]):
        assert {spelling: GONE} == _redacted({spelling: _S}), spelling


@pytest.mark.parametrize(
    "text",
    [
        f"first\n{TOKEN}",
        f"first\r\n\t{TOKEN}",
        json.dumps({"inner": f"first\n{TOKEN}"}),
        json.dumps({"inner": json.dumps([f"\t{TOKEN}"])}),
        f'{{"inner": "first\\n{TOKEN}',
        f'{{"inner": "first\\npassword={TOKEN}',
        f'{{"inner": "\\u003cb\\u003e{TOKEN}"}}',
        json.dumps({"密码": TOKEN[4:]}),
        json.dumps([["token", TOKEN[4:]]]),
        '{"url": "https:\\/\\/me:' + TOKEN[4:] + '@host\\/x"}',
        '{"query": "a=1\\u0026token\\u003d' + TOKEN[4:] + '"}',
        f"-----BEGIN PRIVATE KEY-----{TOKEN[4:]}-----END PRIVATE KEY-----",
    ],
)
def test_a_secret_is_found_wherever_a_line_begins_and_however_json_escapes_it(text: str) -> None:
    """In text, in JSON in text by any writer, and in JSON that is cut off."""
    assert TOKEN[4:] not in _redacted(text)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "exactly one of"),
        ({"key": "a", "path": "b"}, "exactly one of"),
        ({"kez": "a"}, "has no 'kez'"),
        ({"detector": "x"}, "There is no detector 'x'"),
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "a*"}, "matches nothing at all"),
        ({"pattern": "x[0--]"}, "no regular expression: Possible set difference"),
        ({"path": "a..b..[x]"}, "is not a path"),
        ({"path": r'a["\q"]'}, "is not a path"),
        ({"path": "inputs.x"}, "'inputs.x' begins with 'inputs', but .*: input, input_parameters, .* meant input.$"),
        ({"path": "$['outptu'][0]"}, "Perhaps you meant output.$"),
        ({"path": "usage.token_count"}, "begins with 'usage', but only these are looked at: .*, metadata.$"),
        ({"path": "[0].x"}, "begins with 0, but"),
        ({"key": "a", "action": "burn"}, "mask, remove, hash, keep"),
        ({"pattern": "a", "action": "keep"}, "takes something out"),
        ({"key": ""}, "1 to 500 characters"),
    ],
)
def test_an_impossible_rule_is_refused_in_a_sentence(rule: dict[str, Any], said: str) -> None:
    """It names what is wrong with it."""
    with pytest.raises(InvalidInput, match=said.replace("(", r"\(")):
        RedactionRule.of(rule)


def test_a_path_leads_to_keys_and_indexes() -> None:
    """Stars stand for one step, two dots for any number of them."""
    place = ("output", "items", 0, "a b")
    for text in ('output.items[0]["a b"]', "$.output.items[*]['a b']", "$..['a b']", "output..[0].*", "output.*.*.*"):
        assert matches(parse_path(text), place), text
    for text in ("output.items", "items[0]['a b']", "output.items[1].*", "output..b"):
        assert not matches(parse_path(text), place), text


def test_the_docs_name_what_is_left_as_it_is() -> None:
    """As in the table of docs/redaction.md, beside which stands what is found."""
    left = [
        {"password_of": "me", "is": "hunter2x"},
        "the password is hunter2x, password hunter2x",
        "tool -p hunter2x",
        "password: required",
        "https://host/x?x-signature=abcdefgh12345678",
    ]
    assert left == _redacted(left)
    assert f"password={GONE}" == _redacted("password=required")
    rules = {"path": "output[*].is"}, {"pattern": r"password (?:is )?(\S+)"}, {"pattern": r"-p\s+(\S+)"}
    for rule, value in zip(rules, (left[:1], left[1], left[2]), strict=True):
        assert "hunter2x" not in str(_redacted(value, rule)), rule


def test_input_is_a_short_name_of_the_input_parameters() -> None:
    """As in conditions: a rule written so would otherwise find nothing, and nobody would know."""
    place = ("input_parameters", "input", "phone")
    for text in ("input.input.phone", "$.input.*.phone", "$['input'].input.phone", "input_parameters.input.phone"):
        assert matches(parse_path(text), place), text
    assert matches(parse_path("..input.phone"), place)
    assert not matches(parse_path("input.phone"), place)


def test_a_token_is_one_by_what_stands_far_behind_its_beginning() -> None:
    """Without a digit or a capital it is a word, and without a dot no web token."""
    words = "sk-" + "only-words-" * 3, "eyJ" + "only-words-" * 3
    assert [*words, GONE, GONE] == _redacted([*words, f"{words[0]}9", f"{words[1]}.payload-of-it"])


def test_a_path_is_followed_every_way_at_once() -> None:
    """Trying one after the other would not end in a lifetime."""
    assert not matches(parse_path("..a" * 40 + ".b"), ("a",) * 120)


@pytest.mark.parametrize(
    "piece",
    [
        *("<", "{", "-", "--a", "--password ", "--password -", '{"name":"password"', '{"name":"password","value":"'),
        *("{'name':'password','value':\"x", '["token",', "('token', '", "name: PASSWORD\n", "value: token\n"),
        *(
            "<password>",
            "<password>x</password",
            "<password><![CDATA[",
            "<key>password</key>",
            '<add key="password" value="',
        ),
        *("<a b=", "curl ", "curl -u ", "mysql x -", "docker login ", "machine a.b login b ", "openssl -pass "),
        *(
            "https://x?key=",
            "&sig=a1",
            "password=",
            'password="',
            r"\\\"password\\\": \\\"",
            "密码：",
            "密码 ",
            "cookie: a=b; ",
        ),
        *("name='password' ", "password" + " " * 50, "passwordpassword", "a_key:", "authorization: bearer "),
        "password=1.",
    ],
)
def test_the_work_for_a_text_grows_as_the_text_does(piece: str) -> None:
    """Counted in the names that are looked up. A search that began again from every place would not end here."""

    def work(size: int) -> int:
        looked_up = []

        def rule_for_name(name: str) -> RedactionRule | None:
            looked_up.append(name)
            return BUILT_IN[0] if is_secret_name(name) else None

        for grows in (False, True):
            secrets_in((piece * (size // len(piece) + 1))[:size] + "(", rule_for_name, grows=grows)
        return len(looked_up)

    assert work(40_000) <= 5 * work(10_000)


def test_a_value_that_is_none_is_not_read_again_from_every_name_in_it() -> None:
    """Before a bracket it is a call, if it is not too long for that; reading it again and again takes an hour here."""
    assert f"password={GONE}(" == _redacted("password=1." * 300_000 + "(")
    assert "password=get1.password=get2()" == _redacted("password=get1.password=get2()")


@pytest.mark.parametrize("depth", [100, 1_000])
def test_pairs_within_pairs_are_read_to_any_depth(depth: int) -> None:
    """As JSON, as JSON within text, and where it is cut off."""
    for end in ("}" * depth, ""):
        nested = '{"name":"password","value":' * depth + f'"{_S}"' + end
        assert _S not in _redacted(nested)
        assert _S not in _redacted({"a": f"so far: {nested}"})["a"]


def test_secrets_are_taken_out_of_a_text_however_many() -> None:
    """Those that come back are looked for as far as a thousand of them go."""
    given = {
        "all": " ".join(f"password=abc{number:05}" for number in range(2_000)),
        "first": "abc00000",
        "last": "abc01999",
    }
    assert {"all": " ".join([f"password={GONE}"] * 2_000), "first": GONE, "last": "abc01999"} == _redacted(given)
