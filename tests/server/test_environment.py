"""Reading the settings from the environment, from `.env` and from secret files."""

from pathlib import Path

import pytest

from server.environment import find_world_readable_files, load_settings
from server.settings import FROM_FILES
from tests.server.conftest import SetEnvironment, configuration_problems

GOOD_SECRET = "kX9v2mQ7rT4wY8zB3nL6pD1sF5hJ0cGa"
SECRET_FILE = "POSTERN_SECRET_KEY_FILE"


def test_unknown_setting_is_reported(set_environment: SetEnvironment) -> None:
    set_environment(POSTERN_SECRET="x", POSTERN_DEBUG="1")
    names = [problem.split()[0] for problem in configuration_problems()]
    assert names == ["POSTERN_DEBUG", "POSTERN_SECRET"]


def test_dotenv_file_is_read_and_its_unknown_settings_are_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTERN_PORT=9000\nOTHER=1\n")
    assert load_settings().port == 9000
    (tmp_path / ".env").write_text("POSTERN_PROT=9000\n")
    assert configuration_problems()[0].startswith("POSTERN_PROT is not a setting")


def test_setting_name_can_be_lower_case(set_environment: SetEnvironment, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("postern_port=9000\nPOSTERN_HOST=file\n")
    set_environment(postern_host="environment")
    assert (load_settings().port, load_settings().host) == (9000, "environment")


def test_unknown_setting_is_reported_as_it_was_written(set_environment: SetEnvironment) -> None:
    set_environment(postern_prot="9000")
    assert configuration_problems()[0].startswith("postern_prot is not a setting")


def test_dotenv_line_without_a_value_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTERN_HOST\nPOSTERN_PORT\nPOSTERN_MAIL_TEMPLATES\n")
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.mail_templates is None


def test_unknown_dotenv_line_without_a_value_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTERN_PROT\n")
    assert configuration_problems()[0].startswith("POSTERN_PROT is not a setting")


def test_dotenv_file_that_is_not_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"POSTERN_PORT=\xff\xfe")
    assert configuration_problems() == [".env: this file is not UTF-8 text."]


def test_environment_takes_precedence_over_dotenv(
    set_environment: SetEnvironment, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("POSTERN_PORT=9000\n")
    set_environment(POSTERN_PORT="9001")
    assert load_settings().port == 9001


@pytest.mark.parametrize("name", FROM_FILES)
def test_secret_can_be_read_from_a_file(
    set_environment: SetEnvironment, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text(f"{GOOD_SECRET}\n")
    set_environment(**{f"POSTERN_{name}_FILE": str(tmp_path / "file")})
    assert getattr(load_settings(), name.lower()).get_secret_value() == GOOD_SECRET


@pytest.mark.parametrize("name", FROM_FILES)
def test_secret_and_its_file_are_not_both_allowed(
    set_environment: SetEnvironment, tmp_path: Path, name: str
) -> None:
    (tmp_path / ".env").write_text(f"POSTERN_{name}={GOOD_SECRET}\n")
    set_environment(**{f"POSTERN_{name}_FILE": str(tmp_path)})
    (problem,) = configuration_problems()
    assert problem.startswith(f"POSTERN_{name} and POSTERN_{name}_FILE are both set")


@pytest.mark.parametrize("name", FROM_FILES)
@pytest.mark.parametrize("file", ["nowhere", ".", "bytes"])
def test_unreadable_secret_file_is_reported(
    set_environment: SetEnvironment, tmp_path: Path, name: str, file: str
) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    set_environment(**{f"POSTERN_{name}_FILE": str(tmp_path / file)})
    (problem,) = configuration_problems()
    assert problem.startswith(f"POSTERN_{name}_FILE: ")


@pytest.mark.parametrize(("mode", "found"), [(0o600, []), (0o640, []), (0o644, [SECRET_FILE])])
def test_world_readable_secret_file_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, found: list[str]
) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    file.chmod(mode)
    for name in (SECRET_FILE, SECRET_FILE.lower()):
        with monkeypatch.context() as environment:
            environment.setenv(name, str(file))
            assert find_world_readable_files() == found
