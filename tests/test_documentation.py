"""The documentation, held against its own links and against the code."""

import ast
import json
import re
import tomllib
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2
import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from monitor.config.alerts import (
    Alerts,
    GroupSettings,
    Maintenance,
    MassOutageSettings,
    Notify,
    Webhook,
)
from monitor.config.expect import Expect
from monitor.config.model import (
    BasicAuth,
    Config,
    Monitor,
    MonitorSettings,
    OAuth2,
    Settings,
    StatusPage,
    Target,
    Window,
    WrittenConfig,
    WrittenMonitor,
)
from monitor.config.reading.load import load
from monitor.config.steps.step import Save, Step
from monitor.config.values import Strict
from monitor.result import Reason
from monitor.web.metrics.blackbox import FAMILIES
from monitor.web.metrics.checks import DOMAIN_EXPIRY
from tests.mutants.__main__ import equivalent
from tests.program import ROOT, Start, until
from tests.web.api.client import Client

DOCS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ssl_kafka/README.md", *DOCS]


class Section(NamedTuple):
    """A heading, with everything below it until the next heading that is as high."""

    title: str
    anchor: str
    lines: list[str]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def sections(text: str) -> Iterator[Section]:
    """All headings of a page, with their anchors as GitHub makes them; `#` in a fenced block is none."""
    lines = text.splitlines()
    fences = 0
    headings: list[tuple[int, int, str]] = []
    for number, line in enumerate(lines):
        fences += line.startswith("```")
        if fences % 2 == 0 and (found := re.fullmatch(r"(#{1,6}) +(.*?)( +#+)? *", line)):
            headings.append((number, len(found[1]), found[2]))
    used: dict[str, int] = {}
    for index, (number, level, title) in enumerate(headings):
        ends = (at for at, other, _ in headings[index + 1 :] if other <= level)
        plain = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", title)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        used[anchor] = used.get(anchor, -1) + 1
        yield Section(
            title,
            f"{anchor}-{used[anchor]}" if used[anchor] else anchor,
            lines[number + 1 : next(ends, None)],
        )


def section(page: str, title: str) -> list[str]:
    (found,) = [each.lines for each in sections(text_of(page)) if each.title == title]
    return found


def rows(lines: Iterable[str], first: str) -> list[list[str]]:
    """The rows of all tables whose first column is called so."""
    found: list[list[str]] = []
    is_open = False
    for line in lines:
        if not line.startswith("|"):
            is_open = False
            continue
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if is_open:
            found.append(cells)
        is_open = is_open or cells[0] == first
    return [cells for cells in found if not cells[0].startswith("---")]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def prose(text: str) -> str:
    """The text without its fenced blocks and code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```$", "", text))


def anchors(path: Path) -> set[str]:
    return {each.anchor for each in sections(path.read_text(encoding="utf-8"))}


def leads(page: str, target: str) -> bool:
    """Whether a relative link leads to a file of the repository, and to a heading of it."""
    name, _, anchor = target.partition("#")
    path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
    if not path.is_relative_to(ROOT.resolve()) or not path.exists():
        return False
    return not anchor or anchor in anchors(path)


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_to_a_file_and_each_anchor_to_a_heading(page: str) -> None:
    targets = re.findall(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)", prose(text_of(page)))

    broken = [target for target in targets if not re.match("https?://", target) and not leads(page, target)]

    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_each_table_has_as_many_cells_in_each_row(page: str) -> None:
    lines = text_of(page).splitlines()

    widths = [
        (len(re.split(r"(?<!\\)\|", line)), len(re.split(r"(?<!\\)\|", after)))
        for line, after in pairwise(lines)
        if line.startswith("|") and after.startswith("|")
    ]

    assert all(width == below for width, below in widths)


@pytest.mark.parametrize("page", PAGES)
def test_each_file_and_module_that_is_named_is_there(page: str) -> None:
    named = re.findall(r"`((?:monitor|tests|grafana|benchmarks)/[^`\s]*)`", text_of(page))
    modules = re.findall(r"-m ((?:tests|benchmarks)[\w.]*)", text_of(page))
    scripts = [ROOT / each.replace(".", "/") for each in modules]

    missing = [each for each in named if not (ROOT / each).exists()]
    missing += [str(each) for each in scripts if not each.with_suffix(".py").exists() and not each.is_dir()]

    assert not missing


@pytest.mark.parametrize(
    ("page", "title"), [("docs/architecture.md", "The house"), ("CONTRIBUTING.md", "How to work on it")]
)
def test_each_room_is_listed_with_a_file_of_it_to_start_at(page: str, title: str) -> None:
    listed = rows(section(page, title), "room")
    rooms = [[each.removeprefix("monitor/") for each in code(cells[0])] or [""] for cells in listed]

    assert {room for its in rooms for room in its} == {
        "",
        *(f"{path.parent.name}/" for path in (ROOT / "monitor").glob("*/__init__.py")),
    }
    for its, cells in zip(rooms, listed, strict=True):
        starts = code(cells[-1])
        assert starts
        assert all(any((ROOT / "monitor" / room / start).is_file() for room in its) for start in starts)


def test_the_rule_of_imports_is_the_one_that_is_checked() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    described = section("docs/architecture.md", "Who may import whom")
    libraries = {
        library: [each.removesuffix(".py").replace("/", ".") for each in code(rooms)]
        for library, rooms in rows(described, "library")
    }

    (layers,) = [each["layers"] for each in contracts if each["type"] == "layers"]
    edges = {
        library: [
            each.split(" -> ")[0].removeprefix("monitor.").rstrip(".*") for each in contract["ignore_imports"]
        ]
        for contract in contracts
        if contract["type"] == "forbidden"
        for library in contract["forbidden_modules"]
    }

    fences = [number for number, line in enumerate(described) if line == "```"]
    assert described[fences[0] + 1 : fences[1]] == [
        each.replace("monitor.", "").replace(" : ", ", ") for each in layers
    ]
    assert libraries == edges


def literals() -> Iterator[tuple[str, bool]]:
    """All texts in the code, and whether each is the format of a log line."""
    for path in (ROOT / "monitor").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    ast.Attribute(attr="debug" | "info" | "warning" | "error" | "exception"),
                    [ast.Constant(str(line)), *_],
                ):
                    yield line, True
                case ast.Call(ast.Attribute(attr="log"), [_, ast.Constant(str(line)), *_]):
                    yield line, True
                case ast.Constant(str(text)):
                    yield text, False


def test_each_log_line_that_is_quoted_can_be_logged() -> None:
    seen = [cells[1] for cells in rows(section("docs/reliability.md", "What fails, and what then"), "fault")]
    printed = re.findall(r"(?m)^20\d\d-\S+ \S+ [A-Z]+ (.+)$", text_of("docs/operations.md"))
    quoted = [line for cell in seen for line in code(cell) if " " in line] + printed
    texts = {text for text, _ in literals()}
    formats = [re.split(r"%[\d.]*[sdgf]", line) for line, is_logged in literals() if is_logged]
    patterns = [re.sub(r"\(\.\+\)$", ".+", "(.+)".join(map(re.escape, parts))) for parts in formats]

    def can_be_logged(line: str) -> bool:
        """Whether what stands in the place of a `%s` is one word, a text of the code, or at the end."""
        found = (re.fullmatch(pattern, line) for pattern in patterns)
        return any(each and all(" " not in part or part in texts for part in each.groups()) for each in found)

    assert len(quoted) > 10
    assert [line for line in quoted if not can_be_logged(line)] == []


def test_the_readme_leads_to_each_page() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", text_of("README.md")))

    assert linked >= {"CONTRIBUTING.md", "CHANGELOG.md", *DOCS}


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


def test_contributing_fits_one_screen() -> None:
    assert len(text_of("CONTRIBUTING.md").splitlines()) <= 45


@pytest.mark.parametrize("page", ["README.md", "docs/alerts.md", "docs/checks.md"])
def test_a_whole_configuration_is_valid(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"(?ms)^```json\n(\{\n.*?)^```$", text_of(page))
    for name in re.findall(r"/run/secrets/([\w-]+)", "".join(blocks)):
        (tmp_path / name).write_text("json://alerts.example/")

    assert blocks
    for block in blocks:
        path = tmp_path / "config.json"
        path.write_text(block.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
        load(path, {"PG_PASSWORD": "1", "MAIL_PASSWORD": "2", "SHOP_PASSWORD": "3"})


# The sections whose tables list the keys of these parts of the configuration.
TABLES: Mapping[type[BaseModel], tuple[str, str]] = {
    WrittenConfig: ("docs/configuration.md", "Top-level keys"),
    WrittenMonitor: ("docs/configuration.md", "Keys of a monitor"),
    BasicAuth: ("docs/configuration.md", "Keys of `basic_auth`"),
    OAuth2: ("docs/configuration.md", "Keys of `oauth2`"),
    Window: ("docs/configuration.md", "Keys of `window`"),
    Expect: ("docs/checks.md", "Expectations"),
    Step: ("docs/checks.md", "A step"),
    Save: ("docs/checks.md", "A saved value"),
    Alerts: ("docs/alerts.md", "`alerts`"),
    MassOutageSettings: ("docs/alerts.md", "`mass_outage`"),
    Webhook: ("docs/alerts.md", "A webhook"),
    Notify: ("docs/alerts.md", "`notify`"),
    Maintenance: ("docs/alerts.md", "A maintenance window"),
    GroupSettings: ("docs/alerts.md", "A group"),
    StatusPage: ("docs/pages.md", "The status page"),
}

# Defaults that depend on something else, as the tables say them.
DEPENDS = {
    (WrittenConfig, "kafka_security_protocol"): "by the files in `kafka_ssl_dir`",
    (WrittenConfig, "location"): "the host name",
    (WrittenConfig, "retention_failures_days"): "`retention_days`",
    (WrittenMonitor, "name"): "the URL",
    (WrittenMonitor, "interval_s"): "`sleep_duration`",
    (WrittenMonitor, "quorum"): "half, rounded up",
    (Step, "method"): "`GET`, with a body `POST`",
    (Step, "follow_redirects"): "that of the monitor",
    (Step, "timeout_s"): "what is left",
    (Step, "expect"): "that of the monitor",
    (Alerts, "page_url"): "from `web_host` and `web_port`",
    (Notify, "channels"): "all",
}


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def written(field: FieldInfo) -> str:
    """A default as JSON, in code; nothing where the key is required or not set."""
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if default is None:
        return ""
    if isinstance(default, BaseModel):
        default = {}
    elif isinstance(default, SecretStr):
        default = default.get_secret_value()
    elif isinstance(default, Path):
        default = default.name
    elif isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(default)}`"


def strict(model: type[BaseModel] = Strict) -> set[type[BaseModel]]:
    below = model.__subclasses__()
    return {*below, *(each for one in below for each in strict(one))}


def test_each_part_of_the_configuration_has_a_table() -> None:
    inside = {Settings, MonitorSettings}  # no part by themselves
    in_effect = {Config, Monitor, Target}

    assert set(TABLES) == strict() - inside - in_effect


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_a_table_has_exactly_the_keys_of_the_code(model: type[BaseModel]) -> None:
    listed = [code(cells[0]) for cells in rows(section(*TABLES[model]), "key")]

    assert all(len(names) == 1 for names in listed)
    assert sorted(names[0] for names in listed) == sorted(keys(model))


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_a_table_has_the_defaults_of_the_code(model: type[BaseModel]) -> None:
    listed = {code(cells[0])[0]: cells[1] for cells in rows(section(*TABLES[model]), "key")}

    assert listed == {name: DEPENDS.get((model, name), written(field)) for name, field in keys(model).items()}


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_a_table_says_which_keys_are_required(model: type[BaseModel]) -> None:
    required = {
        code(cells[0])[0] for cells in rows(section(*TABLES[model]), "key") if cells[2].endswith("Required.")
    }

    assert required == {name for name, field in keys(model).items() if field.is_required()}


def test_each_reason_is_explained() -> None:
    listed = [code(cells[0]) for cells in rows(section("docs/checks.md", "Reasons"), "reason")]

    assert listed == [[reason.value] for reason in Reason]


def test_each_mutant_that_changes_nothing_is_listed_with_its_reason() -> None:
    listed = rows(section("docs/reliability.md", "What the tests are worth"), "file")

    assert listed == [
        [f"`{path.removeprefix('monitor/')}`", f"`{before}` becomes `{after}`", why]
        for (path, before, after), why in equivalent().items()
    ]


def test_the_table_is_described_as_it_is(database: str) -> None:
    title = "The table `health_data`"
    described = [
        (code(name)[0], code(kind)[0]) for name, kind, _ in rows(section("docs/storage.md", title), "column")
    ]

    columns = fetched(
        database,
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'health_data'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    )

    assert described == columns


def test_each_table_of_the_database_is_described(database: str) -> None:
    listed = rows(section("docs/storage.md", "Other tables"), "table")
    described = {name for cells in listed for name in code(cells[0])}

    tables = fetched(
        database,
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace AND relname LIKE 'health%'",
    )

    assert described | {"health_data"} == {name for (name,) in tables}


def test_each_kind_of_incident_is_explained(database: str) -> None:
    listed = rows(section("docs/storage.md", "Other tables"), "kind")

    ((allowed,),) = fetched(
        database,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'health_incidents_kind_check'",
    )

    assert {code(cells[0])[0] for cells in listed} == set(re.findall(r"'(\w+)'", allowed))


def fetched(database: str, statement: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found
    finally:
        connection.close()


async def test_each_operation_of_the_api_is_listed_with_its_parameters(api: Client) -> None:
    listed = {
        code(cells[0])[0]: code(cells[1]) for cells in rows(section("docs/api.md", "Operations"), "operation")
    }

    paths = (await api("/openapi.json")).json["paths"]

    assert listed == {
        f"{method.upper()} {path}": [
            each["name"] for each in operation["parameters"] if each["in"] == "query"
        ]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_each_metric_is_explained_and_none_is_invented(program: Start) -> None:
    named = set(
        re.findall(r"`((?:website_health|config|probe|blackbox_exporter)_\w+)", text_of("docs/metrics.md"))
    )
    step = {"name": "in", "url": "http://127.0.0.1:9/"}
    shop = {"name": "shop", "url": "http://127.0.0.1:9/", "interval_s": 1}
    monitor = program(monitors=[shop, {"name": "login", "steps": [step], "interval_s": 1}])
    monitor.start()
    url = monitor.prints(r"web: (http://\S+)/")[1]

    def exported() -> set[str]:
        with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:  # noqa: S310 - our own
            found = re.findall(r"(?m)^# TYPE (\w+) ", response.read().decode())
        return {name for name in found if not name.startswith("process_")}

    elsewhere = {family.name for family in (*FAMILIES, DOMAIN_EXPIRY)}
    documented = named - set(WrittenConfig.model_fields)
    with suppress(TimeoutError):  # some come only with what they count
        until(lambda: exported() | elsewhere >= documented, "all metrics")

    assert exported() | elsewhere == documented
