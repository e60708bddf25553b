"""`.env`: what is read, and which mistakes end a start instead of opening a door."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import settings
from env_file import EnvFileError, others, read
from settings import NAMES, SettingsError, load
from tests.variants import each

SECRET = "hunter2hunter2hunter2"
ROOT = Path(settings.ROOT)


@pytest.fixture
def file(tmp_path):
    return tmp_path / ".env"


def refusal(file, text):
    file.write_text(text) if isinstance(text, str) else file.write_bytes(text)
    with pytest.raises(SettingsError) as caught:
        load({}, file)
    said = str(caught.value)
    assert "\n" not in said and said.isprintable()
    assert "hunter" not in said
    return said


# What is read


@pytest.mark.parametrize(
    "line",
    [
        f"WEBHOOK_SECRET={SECRET}",
        f"WEBHOOK_SECRET = {SECRET} ",
        f"  WEBHOOK_SECRET={SECRET}",
        f"export WEBHOOK_SECRET={SECRET}",
        f'WEBHOOK_SECRET="{SECRET}"',
        f"WEBHOOK_SECRET='{SECRET}'",
        f'WEBHOOK_SECRET="{SECRET}" # a comment',
        f"WEBHOOK_SECRET='{SECRET}'  # it's a comment",
        f"WEBHOOK_SECRET={SECRET}\t# a comment",
        f"\ufeffWEBHOOK_SECRET={SECRET}",
        f"\ufeff# a comment\nWEBHOOK_SECRET={SECRET}\n\n# the end",
        f"PORT=9000\r\nWEBHOOK_SECRET={SECRET}\r\nIDLE_SECONDS=7\r\n",
        f"PORT=9000\rWEBHOOK_SECRET={SECRET}\r",
    ],
)
def test_every_usual_way_to_write_a_line_is_read(file, line):
    file.write_text(line)
    assert load({}, file).webhook_secret == SECRET


@pytest.mark.parametrize("secret", ["a${b}c" * 4, "a#b" * 6, "a=b" * 6, "a\\nb" * 5, "a b" * 6])
def test_a_value_stays_as_it_is_written(file, secret):
    file.write_text(f"WEBHOOK_SECRET='{secret}'\n")
    assert load({}, file).webhook_secret == secret
    file.write_text(f"WEBHOOK_SECRET={secret}\n")
    assert load({}, file).webhook_secret == secret


# What can't be read


@pytest.mark.parametrize(
    "line",
    [
        f"WEBHOOK_SECRET: {SECRET}",
        f'WEBHOOK_SECRET="{SECRET}',
        f"WEBHOOK_SECRET='{SECRET}",
        f"WEBHOOK_SECRET='{SECRET}\"",
        f'WEBHOOK_SECRET="{SECRET}"x',
        f'WEBHOOK_SECRET={SECRET}"',
        f"WEBHOOK_SECRET={SECRET}'",
        f"WEBHOOK_SECRET {SECRET}",
        f"WEBHOOK_SECRET\t{SECRET}",
        "WEBHOOK_SECRET",
        "export WEBHOOK_SECRET",
        f"export WEBHOOK_SECRET {SECRET}",
        f"set WEBHOOK_SECRET={SECRET}",
        f"WEBHOOK SECRET={SECRET}",
        f"WEBHOOK_SECRET=={SECRET}"[:0] + f"= {SECRET}",
        f"WEBHOOK_SECRET= # {SECRET}",
        f"WEBHOOK_SECRET=#{SECRET}",
        f"WEBHOOK_SECRET=\u200b{SECRET}",
        f"WEBHOOK_SECRET\u00a0={SECRET}",
        f"WEBHOOK_SECRET={SECRET}\x00",
        f'WEBHOOK_SECRET="{SECRET}\\n"',
        f"{SECRET}",
        f"{SECRET}=",
        f"{SECRET}==",
        "some words",
        "{",
        "- WEBHOOK_SECRET=x",
        "<<<<<<< HEAD",
    ],
)
def test_a_line_that_is_not_what_was_meant_ends_the_start_and_is_named(file, line):
    said = refusal(file, f"# our settings\n\nPORT=9000\n{line}\nIDLE_SECONDS=7\n")
    assert said.startswith(f"{file}, line 4: ")


def test_the_refusal_says_what_would_be_right(file):
    assert "write it as WEBHOOK_SECRET=value" in refusal(file, f"WEBHOOK_SECRET: {SECRET}")
    assert "MAX_AGENT_CHAT=value" in refusal(file, "MAX_AGENT_CHAT: 3")
    assert "quote" in refusal(file, f'WEBHOOK_SECRET="{SECRET}')


def test_lines_are_counted_as_an_editor_counts_them(file):
    assert ", line 3: " in refusal(file, "# one\u2028 still one\r\nPORT=9000\r\nMAX_AGENT_CHAT: 3\r\n")


def test_a_quote_does_not_swallow_the_lines_after_it(file):
    assert ", line 1: " in refusal(file, f'AI_MODEL="m\nWEBHOOK_SECRET={SECRET}\nLOG_LEVEL="INFO"\n')


def test_a_name_that_is_there_twice_is_refused_with_both_lines(file):
    said = refusal(file, f"WEBHOOK_SECRET={SECRET}\nPORT=1\nexport WEBHOOK_SECRET=\n")
    assert ", line 3: " in said and "line 1" in said and "WEBHOOK_SECRET" in said


# Names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WEBHOOK_SECRT", "WEBHOOK_SECRET"),
        ("WEB_HOOK_SECRET", "WEBHOOK_SECRET"),
        ("webhook_secret", "WEBHOOK_SECRET"),
        ("WEBHOOK-SECRET", "WEBHOOK_SECRET"),
        ('"WEBHOOK_SECRET"', "WEBHOOK_SECRET"),
        ("WEBHOOK_SECRET:", "WEBHOOK_SECRET"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("MAX_AGENT_CHATS", "MAX_AGENT_CHAT"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("PORTS", "PORT"),
        ("GUNICORN_CMD_ARG", "GUNICORN_CMD_ARGS"),
        ("PGPASSWRD", "PGPASSWORD"),
        ("POSTGRES_PASWORD", "POSTGRES_PASSWORD"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(file, name, meant):
    said = refusal(file, f"{name}={SECRET}\n")
    assert ", line 1: " in said and said.endswith(f"did you mean {meant}?")


def test_a_name_like_no_other_is_refused_too(file):
    said = refusal(file, f"HUNTER_KEY_XYZ={SECRET}\n")
    assert ", line 1: " in said and ".env.example" in said


OTHERS = {
    "COMPOSE_PROJECT_NAME": "g",
    "POSTGRES_PASSWORD": "p",
    "GUNICORN_CMD_ARGS": "--workers 4",
    "HTTPS_PROXY": "http://proxy:3128",
    "no_proxy": "localhost",
    "PGSSLMODE": "require",
    "PGSSLROOTCERT": "/etc/ca.pem",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "REQUESTS_CA_BUNDLE": "/etc/ca.pem",
    "TZ": "Asia/Jakarta",
    "PYTHONUNBUFFERED": "1",
}


def test_names_of_other_programs_may_stand_there_and_are_handed_on(file):
    file.write_text("".join(f"{name}={value}\n" for name, value in OTHERS.items()) + "PORT=9000\n")
    assert load({}, file).port == 9000
    assert others(read(file, NAMES)) == OTHERS
    assert settings.for_other_programs(file) == OTHERS


def test_no_name_of_ours_passes_for_anothers():
    assert others(dict.fromkeys(NAMES, "x")) == {}


@each("name", ["WEBHOOK_SECRT", "WEBHOOKS_SECRET", "webhook_secret", "WEBHOOK_SECRETS"])
def test_a_slip_in_the_name_of_a_secret_is_refused_in_the_environment_too(name):
    with pytest.raises(SettingsError, match="did you mean WEBHOOK_SECRET") as caught:
        load({name: SECRET}, None)
    assert "hunter" not in str(caught.value)


@each("name", ["SECRET_KEY_BASE", "AWS_SECRET_ACCESS_KEY", "LOGLEVEL", "HOSTNAME", "REDIS_URI", "SECRET"])
def test_other_programs_variables_are_no_concern_of_ours(name):
    assert load({name: "x"}, None) == load({}, None)


# The file itself


def test_a_folder_a_broken_link_and_bytes_are_refused_in_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "bytes").write_bytes(b"PORT=\xff\n")
    (tmp_path / "utf16").write_bytes("PORT=9000\n".encode("utf-16"))
    for name in ("folder", "link", "bytes", "utf16"):
        with pytest.raises(SettingsError, match=name) as caught:
            load({}, tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes nobody")
def test_a_file_that_may_not_be_read_is_refused_and_not_passed_over(tmp_path):
    tmp_path.chmod(0o755)
    file = tmp_path / ".env"
    file.write_text(f"WEBHOOK_SECRET={SECRET}\n")
    file.chmod(0o600)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            read(file, NAMES)
        except EnvFileError as error:
            os._exit(0 if "readable" in str(error) else 2)
        except BaseException:
            os._exit(3)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nothing_but_the_sentence_is_printed(tmp_path):
    (tmp_path / ".env").write_text("WEBHOOK_SECRET: x\n")
    ask = "import sys, pathlib, settings; settings.load({}, pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path / ".env")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "could not parse" not in done.stderr


# The environment beside it


def test_an_empty_variable_does_not_hide_the_word_of_the_file(file):
    file.write_text(f"WEBHOOK_SECRET={SECRET}\nPORT=9000\nDEMO=0\n")
    found = load({"WEBHOOK_SECRET": "", "PORT": "", "DEMO": ""}, file)
    assert (found.webhook_secret, found.port, found.demo) == (SECRET, 9000, False)
