"""Whatever repeats a credential of a target's name, and however: it is hidden."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentmem_observe.targets.credentials import Credentials, redact_within

PASSWORDS = [
    "hunter2",
    "p@ss/w?rd#&=",
    'it\'s "quoted"',
    "back\\slash",
    "tab\tnew\nline",
    "pässwörd",
]
SPELLINGS = {
    "plain": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "as a form": quote_plus,
    "repr": lambda secret: repr(ValueError(secret)),
    "repr of bytes": lambda secret: repr(f"AUTH\r\n{secret}\r\n".encode()),
    "JSON": json.dumps,
    "basic authentication": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_is_hidden_however_it_is_spelled(password, spelling):
    shown = SPELLINGS[spelling](password)

    hidden = Credentials(f"redis://user:{quote(password, safe='')}@host:1/0").hidden_in(
        f"could not log in with {shown} at host"
    )

    assert shown.strip("'\"") not in hidden
    assert password not in hidden
    assert hidden.startswith("could not log in with ")
    assert hidden.endswith(" at host")


@given(secret=st.text(st.characters(exclude_characters="*", codec="utf-8"), min_size=4))
@example(secret="p@ss/w?rd#&=")
@example(secret="http://a:b@c")
def test_a_password_that_is_written_as_it_is_is_hidden_too(secret):
    credentials = Credentials(f"redis://user:{secret}@host:1/0?keep=true")

    assert secret not in credentials.hidden_in(f"<<{secret}>>")


@pytest.mark.parametrize(
    ("spec", "secrets"),
    [
        ("redis://user:first@host/0?password=second", ["first", "second"]),
        ("redis://first@host", ["first"]),
        ("fake?api_key=first&Token=second", ["first", "second"]),
        ("fake?tokens=first,second", ["first", "second"]),
        ("fake?secret=fir%73t+one", ["first one", "fir%73t+one"]),
        ("mine?store=redis://user:first@host&keep=true", ["first"]),
        ("redis://user:first@host/0?token=sec@nd", ["first", "sec@nd"]),
        ("redis://user:fi@rst@host", ["fi@rst"]),
        ("redis://user:first\udcff@host", ["first\udcff"]),
    ],
)
def test_every_credential_of_a_name_is_known(spec, secrets):
    hide = Credentials(spec).hidden_in

    assert [hide(f"<{secret}>") for secret in secrets] == ["<***>"] * len(secrets)


@pytest.mark.parametrize(
    "spec", ["embedded", "redis://127.0.0.1:6379/0?keep=true&prefix=mine", "my_package:make", ""]
)
def test_a_name_without_credentials_hides_nothing(spec):
    value = {"reason": spec, "127.0.0.1": ["mine", "true"]}

    assert Credentials(spec).hidden_in(value) == value


def test_a_secret_of_a_letter_is_hidden_as_a_word_and_leaves_other_words_whole():
    hide = Credentials("redis://user:a@host").hidden_in

    assert hide("a batch of 'a'") == "*** batch of '***'"


def test_texts_are_hidden_wherever_they_stand_and_nothing_else_changes():
    hide = Credentials("redis://user:hunter2@host").hidden_in

    hidden = hide({"hunter2": ["hunter2!", 2, None, {"deep": "hunter2"}], "share": 0.5})

    assert hidden == {"hunter2": ["***!", 2, None, {"deep": "***"}], "share": 0.5}


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_log_that_was_cut_within_a_secret_does_not_show_its_rest(kept):
    credentials = Credentials("redis://user:hunter2-and-more@host")
    log = "hunter2-and-more was refused; hunter2-and-more!"

    tail = credentials.hidden_in_tail(log[kept:])

    assert tail == "*** was refused; ***!"


def test_the_tail_of_a_log_that_was_not_cut_is_whole():
    credentials = Credentials("redis://user:hunter2@host")

    assert credentials.hidden_in_tail("er2 is no rest of 4 letters") == (
        "er2 is no rest of 4 letters"
    )


@pytest.mark.parametrize("text", ["?" * 16_384, "?key" * 4_096, "@" * 16_384, "a://@" * 3_000])
def test_others_texts_take_no_longer_than_they_are_long(text):
    began = time.process_time()

    redact_within(text)

    assert time.process_time() - began < 1.0  # it takes milliseconds; one that backtracks, minutes
